"""Places for encodes, given to the oldest job first: one that has several does not begin each of them behind all others' first."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class Turns:
    """So many at once. Of those that wait, the one with the least key is next; of equal ones, who came first."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @asynccontextmanager
    async def turn(self, key: float) -> AsyncIterator[None]:
        """While inside, a place is taken."""
        await self._take(key)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, key: float) -> None:
        if self._free:
            self._free -= 1
            return
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (key, next(self._numbers), given))
        try:
            await given
        except asyncio.CancelledError:
            if not given.cancelled():  # it was ours already
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Who was cancelled meanwhile wants it no more."""
        while self._waiting:
            *_, given = heapq.heappop(self._waiting)
            if not given.done():
                return given.set_result(None)
        self._free += 1
