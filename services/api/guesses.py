"""Keys that an address may have looked up though this process does not know them: whoever guesses costs the database little."""

import time
from collections.abc import Callable

from libs.common.domain.failures import Code, Failure
from services.api.bounded import Bounded

MOST_GUESSES = 60
"""Of one address at once."""
GUESSES_PER_SECOND = 10.0
"""From then on: little for the database, and enough that a good key gets through beside another's bad ones soon."""
MOST_ADDRESSES = 10_000


class Guesses:
    """A bucket for each address, full at first. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: Bounded[str, tuple[float, float]] = Bounded(MOST_ADDRESSES)

    def take(self, address: str) -> None:
        """Before a key is looked up. Raises Failure(RATE_LIMITED) where there is none left."""
        left = self._left(address)
        if left < 1:
            raise Failure(Code.RATE_LIMITED, "too many keys from your address are unknown", retry_after=(1 - left) / GUESSES_PER_SECOND)
        self._buckets[address] = (self._clock(), left - 1)

    def give_back(self, address: str) -> None:
        """It was no guess."""
        self._buckets[address] = (self._clock(), min(MOST_GUESSES, self._left(address) + 1))

    def _left(self, address: str) -> float:
        at, left = self._buckets.get(address, (self._clock(), float(MOST_GUESSES)))
        return min(MOST_GUESSES, left + (self._clock() - at) * GUESSES_PER_SECOND)
