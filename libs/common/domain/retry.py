"""What to do with a delivery, decided without touching the world."""

from dataclasses import dataclass

from libs.common.domain.events import Envelope
from libs.common.domain.failures import Code, Failure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter (spec section 2.3). Delays in seconds."""

    max_attempts: int = 3
    base: float = 1.0
    ceiling: float = 60.0

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the attempt-th attempt (from 1); chance in [0, 1) spreads the herd."""
        return chance * min(self.ceiling, self.base * 2.0 ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class Advance:
    """The stage's answer: store it, publish it, ack."""

    answer: Envelope


@dataclass(frozen=True, slots=True)
class TryLater:
    """Note the retry, hand the message back for `delay` seconds."""

    failure: Failure
    delay: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Copy the message to the dead letters, record the failure, end the message."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is left to do: ack."""

    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The message is in other hands by now: whatever we said to the server would be said for them."""

    reason: str


@dataclass(frozen=True, slots=True)
class Defer:
    """Nothing can be said yet: look again in `delay` seconds."""

    reason: str
    delay: float


Verdict = Advance | TryLater | GiveUp | Ignore | Leave | Defer


def verdict_on(failure: Failure, attempt: int, policy: RetryPolicy, chance: float) -> TryLater | GiveUp:
    """A provider's own Retry-After is believed; an uncharged failure is never the last one."""
    if not is_transient(failure):
        return GiveUp(failure)
    if failure.charged and attempt >= policy.max_attempts:
        return GiveUp(exhausted(failure, attempt))
    if failure.retry_after is not None:
        return TryLater(failure, failure.retry_after)
    return TryLater(failure, policy.delay(attempt, chance))


def is_transient(failure: Failure) -> bool:
    """An internal error is tried again too: it may be ours and passing, and the attempts bound it."""
    return failure.retryable or failure.code is Code.INTERNAL


def exhausted(last: Failure, attempts: int) -> Failure:
    return Failure(Code.RETRIES_EXHAUSTED, f"gave up after {attempts} attempts; the last one failed with {last.code}: {last.message}")


def never_ended(attempts: int) -> Failure:
    return Failure(Code.RETRIES_EXHAUSTED, f"gave up after {attempts} attempts that started and never ended")
