"""Leases: what only one process may do at a time. Each is a row that its holder renews; no connection and no lock is held meanwhile."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.postgres import Pool, Statements

LEASE_SECONDS = 10.0
"""Silence after which another process may take what a dead one held. A database that is away for longer ends the work too."""
RENEWALS = 3
"""In a lease's life: two of them may be lost."""
GOODBYE = 3.0


class Leases:
    """`seconds` is what each lease lasts unless it is renewed. Raises Failure(outage="postgres") when the database can't be reached."""

    def __init__(self, pool: Pool, seconds: float = LEASE_SECONDS) -> None:
        self._sql = Statements(pool, "leases.sql")
        self._seconds = seconds

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[bool]:
        """True for one holder at a time, False at once for the others. Whoever loses it inside is cancelled there and told by a Failure."""
        holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}"
        asked = asyncio.get_running_loop().time()
        try:
            ours = await self._sql.value("take", name, holder, self._seconds)
        except BaseException:  # cancelled, or cut off: who asked does not know whether he holds it
            await self._let_go(name, holder)
            raise
        if not ours:
            yield False
            return
        try:
            async with asyncio.timeout_at(asked + self._seconds) as life, self._renewed(name, holder, life):
                yield True
        except TimeoutError as error:
            if not life.expired():
                raise
            raise Failure(Code.RETRYABLE_ERROR, "a lease was lost: the database was away too long", outage="postgres") from error
        finally:
            await self._let_go(name, holder)

    @asynccontextmanager
    async def _renewed(self, name: str, holder: str, life: asyncio.Timeout) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew(name, holder, life))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, name: str, holder: str, life: asyncio.Timeout) -> None:
        """Counted from when we asked, which is sooner than the database does: we never believe in a lease that it gave to another."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._seconds / RENEWALS)
            asked = clock()
            with suppress(Failure):  # away: tried again as long as the lease lasts
                is_ours = await self._sql.value("renew", name, holder, self._seconds)
                life.reschedule(asked + self._seconds if is_ours else asked)

    async def _let_go(self, name: str, holder: str) -> None:
        """As far as the database can be reached: what is not released ends by itself."""
        with suppress(Failure, TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._sql.rows("release", name, holder)
