"""How long to wait before something is tried again, and whether to. Pure but for the dice, which are given."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from clipstream.errors import UNREACHABLE, ClipstreamError

LONGEST = 60.0
"""Seconds that a Retry-After is waited out. A server that wants more is believed too: the error goes to the caller, who can plan."""
NOT_THE_REQUESTS = frozenset({"NOT_READY"})
"""Retryable, but about a job that takes its time: that is what `wait` is for."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """Exponential back-off with full jitter: anything from nothing to `first` seconds, twice as much each time, up to `most`."""

    retries: int = 4
    first: float = 0.5
    most: float = 8.0
    dice: Callable[[float, float], float] = random.uniform

    def pause(self, error: ClipstreamError, attempt: int, *, repeatable: bool = True) -> float | None:
        """Seconds before the next attempt, `attempt` counting from 0; None where there is to be none.

        What can't be repeated is tried again only where the server itself said that it did nothing.
        """
        if attempt >= self.retries or not error.retryable or error.code in NOT_THE_REQUESTS:
            return None
        if error.code == UNREACHABLE and not repeatable:
            return None
        asked = error.retry_after or 0.0
        return asked + self.back_off(attempt) if asked <= LONGEST else None

    def back_off(self, attempt: int) -> float:
        return self.dice(0.0, min(self.most, self.first * 2.0 ** min(attempt, 30)))
