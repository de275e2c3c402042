"""How sweeps are run: by one janitor of many, measured, and a batch after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from libs.common.runtime.event_store import EventStore
from libs.common.runtime.leases import LEASE_SECONDS
from libs.common.runtime.logs import logger
from services.janitor.metrics import CLEANUP_FAILURES, CLEANUP_LAST_SUCCESS, CLEANUP_SECONDS
from services.janitor.report import Report
from services.janitor.settings import JanitorSettings

log = logger(__name__)
Sweep = Callable[[], Awaitable[object]]
LOOKED_AT = 10_000
"""Of each kind, what a dry run looks at one by one."""


def alone(store: EventStore, name: str, sweep: Sweep, *, patience: float = LEASE_SECONDS) -> Sweep:
    """The sweep, left out while another janitor is at it. Names are few: metrics carry them.

    At first it is tried a second time, `patience` seconds later: the other one may be the dead that this one replaces.
    """
    waits = [patience]
    label = name.replace(" ", "_")
    CLEANUP_LAST_SUCCESS.labels(label)  # 0, so that a sweep that is never done is seen

    async def run() -> None:
        if not await once() and waits and waits.pop():
            await asyncio.sleep(patience)
            await once()

    async def once() -> bool:
        async with store.lease(name) as ours:
            if ours:
                waits.clear()
                with _measured(label):
                    await sweep()
        return ours

    return run


@contextmanager
def _measured(sweep: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    except Exception:
        CLEANUP_FAILURES.labels(sweep).inc()
        raise
    CLEANUP_SECONDS.labels(sweep).observe(time.perf_counter() - began)
    CLEANUP_LAST_SUCCESS.labels(sweep).set_to_current_time()


def reported(name: str, sweep: Callable[[], Awaitable[Report]], settings: JanitorSettings) -> Sweep:
    """The sweep, with one line in the log of what it removed, or in a dry run would remove, if that is anything."""

    async def run() -> None:
        report = await sweep()
        if report.total or report.left:
            log.info("a clean-up would remove" if settings.cleanup_dry_run else "cleaned up", sweep=name, found=report.as_data())

    return run


async def in_batches(batch: Callable[[], Awaitable[int]], settings: JanitorSettings) -> None:
    """Batch after batch, each giving the number of what is gone, while they are full and all of it goes."""
    while await batch() == settings.cleanup_batch_size:
        await asyncio.sleep(settings.cleanup_pause_ms / 1000)
