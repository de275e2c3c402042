"""What an answer means: the value it carries, or the error it is. Pure."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from clipstream.errors import BY_STATUS, UNREACHABLE, ClipstreamError, Unavailable
from clipstream.models import Model

Value = TypeVar("Value")
LONGEST_TEXT = 1000
GATEWAY = frozenset({502, 503, 504})
BUSY = 429


class _Details(Model, frozen=True, kw_only=True):
    retryable: bool = False
    hint: str = ""
    field: str | None = None


class _Error(Model, frozen=True, kw_only=True):
    code: str
    message: str
    correlation_id: str | None = None
    details: _Details = _Details()


class _Envelope(Model, frozen=True, kw_only=True):
    error: _Error


def value_of(body: bytes, kind: type[Value]) -> Value:
    """Raises ClipstreamError for what is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "the server's answer can't be read"
        raise ClipstreamError("BAD_ANSWER", message, hint="Check that the address is that of a Clipstream server.") from error


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> ClipstreamError:
    """Of an answer that is no success."""
    try:
        told = msgspec.json.decode(body, type=_Envelope).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unexplained(status, headers)
    return BY_STATUS.get(status, ClipstreamError)(
        plain(told.code),
        plain(told.message),
        hint=plain(told.details.hint),
        retryable=told.details.retryable,
        status=status,
        correlation_id=plain(told.correlation_id or headers.get("x-correlation-id", "")) or None,
        field=plain(told.details.field or "") or None,
        retry_after=seconds_of(headers.get("retry-after", "")),
    )


def plain(text: str) -> str:
    """Without what would steer a terminal, and not endless."""
    return "".join(character if character.isprintable() else " " for character in text[:LONGEST_TEXT])


def seconds_of(text: str) -> float | None:
    """A Retry-After in seconds; None for any other, dates included: they need clocks that agree."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < len("1000000000") else None


def _unexplained(status: int, headers: Mapping[str, str]) -> ClipstreamError:
    """From a proxy in between, or from no Clipstream at all."""
    after = seconds_of(headers.get("retry-after", ""))
    if status in GATEWAY:
        message = f"the server is away: something in front of it answered {status}"
        return Unavailable(UNREACHABLE, message, hint="Try again in a moment.", retryable=True, status=status, retry_after=after)
    if status // 100 == 3:  # noqa: PLR2004  the redirects
        hint = "Give the client the address that this one leads to: it takes no key along."
        return ClipstreamError("REDIRECTED", "the server's address leads elsewhere", hint=hint, status=status)
    error = BY_STATUS.get(status, ClipstreamError)
    hint = "Check that the address is that of a Clipstream server."
    message = f"the server answered {status} without a word of why"
    return error("UNEXPLAINED", message, hint=hint, retryable=status == BUSY, status=status, retry_after=after)
