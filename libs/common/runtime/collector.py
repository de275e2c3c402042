"""Where traces are sent, as OpenTelemetry's own variables say it: what is right in them, and what they mean. Pure."""

import re
from urllib.parse import unquote, urlsplit

PATH = "/v1/traces"
PROTOCOL = "http/protobuf"
_HEADER = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]{1,128}=[!#-+\x2d-:<-\[\]-~]{0,4096}")
"""As OpenTelemetry's specification has it: what the SDK would complain of, it would show."""


def traces_url(endpoint: str | None, traces_endpoint: str | None) -> str | None:
    """The traces' own endpoint as it is, or the common one with their path behind it; None for neither."""
    return traces_endpoint or (endpoint and endpoint.rstrip("/") + PATH)


def url_problem(url: str) -> str | None:
    """Why nothing can be sent there. A URL is shown in logs, so it must hold no secret."""
    try:
        parts = urlsplit(url)
        plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.port == 0)
    except ValueError:
        return "is no URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        return "must be http://host:port or https://host:port"
    return None if plain else "must hold no user, password or query: what the collector asks for goes into OTEL_EXPORTER_OTLP_HEADERS"


def headers_in(text: str) -> dict[str, str]:
    """`name=value,name=value`, both percent-encoded where need be. Raises ValueError, without the text, for anything else."""
    pairs = [pair.strip() for pair in text.split(",") if pair]
    headers = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        name, value = unquote(name).strip().lower(), unquote(value).strip()
        if not _HEADER.fullmatch(pair) or not re.fullmatch(r"[!-9;-~]+", name) or not re.fullmatch(r"[ -~]*", value):
            raise ValueError("must be name=value, several of them parted by commas, and percent-encoded where they hold other signs")
        headers[name] = value
    return headers


def headers_problem(text: str) -> str | None:
    try:
        headers_in(text)
    except ValueError as error:
        return str(error)
    return None


def problems(url: str, headers: str, protocol: str, *, is_own: bool) -> list[str]:
    """In the words of the variables. `is_own`: the URL is the traces' own endpoint."""
    found = {
        f"OTEL_EXPORTER_OTLP_{'TRACES_' if is_own else ''}ENDPOINT": url_problem(url),
        "OTEL_EXPORTER_OTLP_HEADERS": headers_problem(headers),
        "OTEL_EXPORTER_OTLP_PROTOCOL": None if protocol == PROTOCOL else f"must be {PROTOCOL}",
    }
    return [f"{name} {problem}" for name, problem in found.items() if problem]
