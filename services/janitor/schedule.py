"""When the janitor's sweeps run: again and again, some of them by one janitor at a time, and soon after an outage."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.common.domain.failures import Failure
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.health import Health
from libs.common.runtime.telemetry import logger

log = logger(__name__)
Sweep = Callable[[], Awaitable[object]]
RECOVERY = 2.0
"""Seconds that the others get after an outage to go on by themselves before we look at what they lost."""


async def every(seconds: float, sweep: Sweep, health: Health) -> None:
    """Run the sweep for ever. A dependency's outage ends it early; the next one comes shortly after the recovery."""
    while True:
        try:
            await sweep()
            await asyncio.sleep(seconds)
        except Failure as failure:
            log.warning("sweep broken off", error=failure.message)
            while failure.outage and not await health.check(failure.outage):
                await asyncio.sleep(1)
            await asyncio.sleep(min(seconds, RECOVERY))


def alone(store: EventStore, name: str, sweep: Sweep) -> Sweep:
    """The sweep, left out while another janitor is at it."""

    async def run() -> None:
        async with store.lease(name) as ours:
            if ours:
                await sweep()

    return run
