"""The fetching children, forked where all that they need is imported: three quarters of a short fetch would be imports."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.runtime.nursery import Nursery, open_nursery
from libs.common.runtime.process import Limits

COMMAND = (sys.executable, "-m", "services.resolver.fetch")
MEMORY_BYTES = 1 << 30
"""Private memory; address space is not bounded, for a JavaScript runtime reserves far more than it uses."""


@asynccontextmanager
async def open_children(max_bytes: int) -> AsyncIterator[Nursery]:
    """Children that write files of at most so many bytes; each is for one errand, which it reads from its stdin."""
    async with open_nursery(COMMAND, Limits(wall=0, data=MEMORY_BYTES, file_size=max_bytes)) as nursery:
        yield nursery
