"""Work that goes on while faults strike, and processes held still for a moment."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.chaos.replicas import Replica
from tests.chaos.system import System
from tests.chaos.table import Case

ORDINARY = ("clip", "subtitled", "clip", "fast", "clip", "bulk", "clip", "burned")


@asynccontextmanager
async def load(system: System, case: Case, *, every: float = 0.5, kinds: Sequence[str] = ORDINARY) -> AsyncIterator[None]:
    """A job every so many seconds while inside, whatever the API answers; those taken on belong to the case."""

    async def submit(kind: str) -> None:
        answer = await system.submit(kind)
        if answer.job_id:
            case.jobs.add(answer.job_id)

    async def keep_submitting() -> None:
        async with asyncio.TaskGroup() as group:
            for kind in itertools.cycle(kinds):
                group.create_task(submit(kind))
                await asyncio.sleep(every)
                if leaving.is_set():
                    return

    leaving = asyncio.Event()
    submitting = asyncio.create_task(keep_submitting())
    try:
        yield
    finally:
        leaving.set()
        await submitting


@asynccontextmanager
async def held(replicas: Sequence[Replica]) -> AsyncIterator[None]:
    """SIGSTOP while inside."""
    for replica in replicas:
        replica.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for replica in replicas:
            replica.send(signal.SIGCONT)
