"""How sweeps are run: by one janitor of many, and a batch after the other."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.common.runtime.event_store import EventStore
from services.janitor.settings import JanitorSettings

Sweep = Callable[[], Awaitable[object]]


def alone(store: EventStore, name: str, sweep: Sweep) -> Sweep:
    """The sweep, left out while another janitor is at it."""

    async def run() -> None:
        async with store.lease(name) as ours:
            if ours:
                await sweep()

    return run


async def in_batches(batch: Callable[[], Awaitable[int]], settings: JanitorSettings) -> None:
    """Batch after batch, each giving the number of what is gone, while they are full and all of it goes."""
    while await batch() == settings.cleanup_batch_size:
        await asyncio.sleep(settings.cleanup_pause_ms / 1000)
