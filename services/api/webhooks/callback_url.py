"""Which URLs may be called back. Pure; where a name leads to is checked when we connect (receivers.py)."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import DEFAULT_PORTS, LONGEST_URL, UrlRules, checked_url

NO_SECRET = "Ask the operator to set API_SECRET, or read the job's status instead."  # noqa: S105  a hint, no secret


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """`urls` are of any host: the list of hosts in the settings is about sources."""

    urls: UrlRules
    allow_http: bool

    @classmethod
    def of(cls, sources: UrlRules, *, allow_http: bool) -> "CallbackRules":
        return cls(replace(sources, hosts=frozenset(), ports=sources.ports | set(DEFAULT_PORTS.values())), allow_http)


def checked_callback(url: str, rules: CallbackRules | None) -> str:
    """The URL as it is called. Raises Failure: VALIDATION_FAILED, or SSRF_BLOCKED for what leads inside by the look of it."""
    if rules is None:
        raise Failure(Code.VALIDATION_FAILED, "this service is not set up to send webhooks", hint=NO_SECRET)
    if "#" in url:
        raise Failure(Code.VALIDATION_FAILED, "the URL must have no fragment; leave out the # and what follows it")
    checked = checked_url(url, rules.urls)
    if not rules.allow_http and not checked.startswith("https:"):
        raise Failure(Code.VALIDATION_FAILED, "the URL must begin with https://")
    if len(checked) > LONGEST_URL:
        raise Failure(Code.VALIDATION_FAILED, f"the URL is too long, percent-encoded; at most {LONGEST_URL} characters are allowed")
    return checked


def host_of(url: str) -> str:
    """Of a checked URL: what may be logged of it, and what the senders share their places by."""
    return urlsplit(url).hostname or ""
