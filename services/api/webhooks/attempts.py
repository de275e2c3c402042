"""What one attempt to deliver came to, and what follows from it. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

MINUTE, HOUR = 60.0, 3600.0
BACK_OFF = (5.0, 30.0, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 8 * HOUR)
"""Seconds after each attempt that failed: a day in all, and eleven attempts."""
JITTER = 0.1
"""Of the back-off, added at most: what failed together does not come back together."""
LONGEST_WISH = HOUR
"""What is believed of a Retry-After, at most."""
ASKS_TO_WAIT = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
MOST_DIGITS = 9


class State(StrEnum):
    """Of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    STOPPED = "stopped"


class Trouble(StrEnum):
    """Why there was no answer."""

    TIMEOUT = "timeout"
    NAME = "name"
    CONNECTION = "connection"
    TLS = "tls"
    PROTOCOL = "protocol"
    BLOCKED = "blocked"
    NO_SECRET = "no_secret"  # noqa: S105  a word of the log


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As it is kept and shown: an answer's status, or why there was none. Nothing that the receiver wrote."""

    at: datetime
    status: Annotated[int | UnsetType, Meta(description="The receiver's HTTP status.")] = UNSET
    error: Annotated[Trouble | UnsetType, Meta(description="Why there was no answer.")] = UNSET
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back. `retry_after` is that header as it came."""

    status: int | None = None
    trouble: Trouble | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The delivery's next state; `delay` is seconds until it is tried again, while that is pending."""

    state: State
    delay: float = 0.0


def verdict_on(outcome: Outcome, tries: int, now: datetime, chance: float) -> Verdict:
    """After the tries-th attempt (from 1); chance in [0, 1) spreads the herd. Redirects are answers like any other: not followed."""
    status = outcome.status or 0
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Verdict(State.DELIVERED)
    if status == HTTPStatus.GONE:
        return Verdict(State.STOPPED)
    if outcome.trouble is Trouble.BLOCKED or tries > len(BACK_OFF):
        return Verdict(State.FAILED)
    wish = _wish(outcome.retry_after, now) if status in ASKS_TO_WAIT else 0.0
    return Verdict(State.PENDING, max(BACK_OFF[tries - 1], wish) * (1 + JITTER * chance))


def _wish(header: str | None, now: datetime) -> float:
    """Seconds of a Retry-After (RFC 9110, 10.2.3), as far as it is believed; 0 for none or junk."""
    if header is None:
        return 0.0
    if header.isascii() and header.isdigit():
        return LONGEST_WISH if len(header) > MOST_DIGITS else min(float(header), LONGEST_WISH)
    try:
        then = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return 0.0
    seconds = (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WISH)
