"""`python -m services.api.doctor`: whether the API is set up right."""

from collections.abc import Sequence

from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, ok, warning
from libs.common.runtime.doctor.services import Patient, main
from libs.common.runtime.doctor.subjects import WORK
from services.api.settings import ApiSettings

KEYS = "Set ENABLE_API_KEYS=true and make a key: docs/access.md."


def own_checks(settings: ApiSettings) -> Sequence[Check]:
    async def access() -> Seen:
        return access_seen(settings)

    async def proxies() -> Seen:
        return proxies_seen(settings)

    return [Check(topic="api", name="access", look=access), Check(topic="api", name="proxies", look=proxies)]


def access_seen(settings: ApiSettings) -> Seen:
    if settings.enable_api_keys:
        return ok("a key is asked for")
    if settings.environment == "production":
        return warning("no key is asked for: everybody who reaches the API may use it", KEYS)
    return ok("no key is asked for; in production set ENABLE_API_KEYS=true")


def proxies_seen(settings: ApiSettings) -> Seen:
    """With a proxy before it and none named, all clients are one, and share one rate limit."""
    if settings.trusted_proxies:
        return ok("X-Forwarded-For is believed from TRUSTED_PROXIES")
    if settings.environment == "production" and settings.rate_limit_max and not settings.enable_api_keys:
        advice = "Behind a proxy, name its network in TRUSTED_PROXIES; without one this is right."
        return warning("TRUSTED_PROXIES is not set: behind a proxy all clients share one rate limit", advice)
    return ok("none is trusted, as it should be without one")


PATIENT = Patient(name="api", settings=ApiSettings, says=WORK, own=own_checks, open_files=2048)

if __name__ == "__main__":
    main(PATIENT)
