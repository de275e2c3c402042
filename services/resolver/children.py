"""The fetching children. Once one was needed, the next is started ahead: three quarters of a short fetch are imports."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from libs.common.domain.failures import Failure
from libs.common.runtime.process import Limits, kill_group, spawn
from libs.common.runtime.warm_process import ROOT

COMMAND = (sys.executable, "-m", "services.resolver.fetch")
MEMORY_BYTES = 1 << 30
"""Private memory; address space is not bounded, for a JavaScript runtime reserves far more than it uses."""


class Children:
    """Each is for one errand, which it reads from its stdin. Made by `open_children`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ahead: Process | None = None
        self._starting: asyncio.Task[None] | None = None

    async def child(self) -> Process:
        """One that waits for its errand; who takes it ends it. Raises Failure when none can be started."""
        process, self._ahead = self._ahead, None
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._start_ahead())
        return process if process and process.returncode is None else await self._started()

    async def close(self) -> None:
        if self._starting:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._ahead:
            await kill_group(self._ahead)

    async def _start_ahead(self) -> None:
        if self._ahead is None:
            with suppress(Failure):  # whoever needs it is told
                self._ahead = await self._started()

    async def _started(self) -> Process:
        return await spawn(COMMAND, limits=self._limits, cwd=ROOT, stdin=PIPE, stderr=PIPE)


@asynccontextmanager
async def open_children(max_bytes: int) -> AsyncIterator[Children]:
    """Children that write files of at most so many bytes; none is left at the end but those that were taken."""
    children = Children(Limits(wall=0, data=MEMORY_BYTES, file_size=max_bytes))
    try:
        yield children
    finally:
        await children.close()
