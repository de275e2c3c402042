"""Failed authentications by the address they come from, in this process: whoever guesses soon costs the database nothing."""

import time
from collections.abc import Callable

from libs.common.domain.failures import Code, Failure
from services.api.bounded import Bounded

MOST_GUESSES = 60
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 10_000


class Guesses:
    """A window begins with an address's first failure."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: Bounded[str, tuple[float, int]] = Bounded(MOST_ADDRESSES)

    def check(self, address: str) -> None:
        """Raises Failure(RATE_LIMITED) for one that has failed too often."""
        ends, failed = self._windows.get(address, (0.0, 0))
        left = ends - self._clock()
        if left > 0 and failed >= MOST_GUESSES:
            raise Failure(Code.RATE_LIMITED, "too many keys from your address were wrong", retry_after=left)

    def note(self, address: str) -> None:
        """One more has failed. Raises as `check` does where it is one too many."""
        self.check(address)
        ends, failed = self._windows.get(address, (0.0, 0))
        self._windows[address] = (ends, failed + 1) if ends > self._clock() else (self._clock() + WINDOW_SECONDS, 1)
