"""Who may work beside whom in one process: a job whose worker died at it works alone, so that poison takes no neighbours along.

Whatever is done with a message is done inside: while one works alone no other message is so much as looked at.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Quarantine:
    """Jobs work side by side, but for a suspect: it waits until the others have left, and nobody enters before it has."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._empty = asyncio.Event()
        self._empty.set()
        self._inside = 0
        self._suspects = 0

    @property
    def is_closed(self) -> bool:
        """One works alone, or waits for that."""
        return self._suspects > 0

    async def until_open(self) -> None:
        async with self._door:
            pass

    @asynccontextmanager
    async def entered(self, *, alone: bool) -> AsyncIterator[None]:
        async with self._alone() if alone else self._beside_others():
            yield

    @asynccontextmanager
    async def _beside_others(self) -> AsyncIterator[None]:
        async with self._door:
            self._inside += 1
            self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        self._suspects += 1
        try:
            async with self._door:
                await self._empty.wait()
                yield
        finally:
            self._suspects -= 1
