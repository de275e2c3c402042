"""Writes docs/configuration.md from the settings in the code (`make configuration`); a test holds the page to them."""

from pathlib import Path

from libs.common.runtime.settings import CommonSettings, describe
from services.api.settings import ApiSettings
from services.asr.settings import AsrSettings
from services.clipper.settings import ClipperSettings
from services.janitor.settings import JanitorSettings
from services.resolver.settings import ResolverSettings

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
SERVICES: dict[str, type[CommonSettings]] = {
    "api": ApiSettings,
    "resolver": ResolverSettings,
    "clipper": ClipperSettings,
    "asr": AsrSettings,
    "janitor": JanitorSettings,
}
HEAD = """# Configuration

Environment variables, read once at start. Every problem is named at once, and a service with a problem does not start.
Switches take `true` or `false`. An empty variable counts as unset. This page is generated from the code by `make configuration`.
"""


def page() -> str:
    """The whole page: the settings that all services share, then each service's own."""
    shared = describe(CommonSettings)
    names = {name for name, _, _ in shared}
    tables = [table("Every service", shared)]
    for service, settings in SERVICES.items():
        own = [row for row in describe(settings) if row[0] not in names]
        if own:
            tables.append(table(service, own))
    return "\n".join([HEAD, *tables])


def table(title: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"| `{name}` | {code(default)} | {meaning} |" for name, default, meaning in rows]
    return "\n".join([f"## {title}\n", "| variable | default | meaning |", "| --- | --- | --- |", *lines, ""])


def code(default: str) -> str:
    return default if default in {"required", "unset"} else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
