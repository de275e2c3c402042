"""`python -m services.resolver.doctor`: whether the resolver is set up right."""

import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from libs.common.domain.events import StageName
from libs.common.runtime.doctor.examination import Check, aside
from libs.common.runtime.doctor.findings import Seen, failed, ok, skipped, warning
from libs.common.runtime.doctor.programs import program_checks
from libs.common.runtime.doctor.services import Patient, main
from libs.common.runtime.doctor.subjects import said_by
from services.resolver.settings import ResolverSettings

STALE = 90
"""Days: sites change, and yt-dlp follows them every few weeks."""
UPDATE = "Raise yt-dlp in pyproject.toml, run make lock, and deploy: docs/sources.md."


def own_checks(settings: ResolverSettings) -> Sequence[Check]:
    return [
        *program_checks("resolver", {"FFPROBE_BIN": settings.ffprobe_bin}),
        Check(topic="resolver", name="yt-dlp", look=partial(aside, lambda: ytdlp_seen(_version(), datetime.now(UTC).date(), settings))),
        Check(topic="resolver", name="JavaScript", look=partial(aside, lambda: runtime_seen(settings))),
    ]


def _version() -> str | None:
    try:
        return version("yt-dlp")
    except PackageNotFoundError:
        return None


def ytdlp_seen(found: str | None, today: date, settings: ResolverSettings) -> Seen:
    """yt-dlp's versions are dates."""
    if not settings.enable_ytdlp:
        return skipped("ENABLE_YTDLP is off: no source is fetched by URL")
    if found is None:
        return failed("yt-dlp is not installed", "pip install --require-hashes -r requirements/resolver.txt")
    year, month, day, *_ = (int(part) for part in found.split("."))
    age = (today - date(year, month, day)).days
    text = f"{found}, {age} days old"
    return warning(f"{text}: sites may have changed since", UPDATE) if age > STALE else ok(text)


def runtime_seen(settings: ResolverSettings) -> Seen:
    """YTDLP_JS_RUNTIME: a name, or name:path."""
    if not settings.enable_ytdlp:
        return skipped("ENABLE_YTDLP is off")
    name, _, path = settings.ytdlp_js_runtime.partition(":")
    if found := shutil.which(path or name):
        return ok(f"{name} ({found})")
    return failed(f"{path or name} is not found: some sites give nothing without it", "Install deno, or name another in YTDLP_JS_RUNTIME.")


PATIENT = Patient(
    name="resolver",
    settings=ResolverSettings,
    says=said_by(StageName.RESOLVER, makes=StageName.CLIPPER),
    own=own_checks,
    memory_mb=1024,
)

if __name__ == "__main__":
    main(PATIENT)
