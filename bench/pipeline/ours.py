"""Our side under its two loads: many jobs in flight, and one after the other."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from bench.pipeline.judge import faults
from bench.pipeline.spending import Spent, spent
from bench.pipeline.system import System
from libs.common.domain.event_ids import answer_id
from libs.common.domain.events import Envelope, StageName
from libs.common.domain.subjects import CLIPS

PUBLISHERS = 64
PATIENCE = 300.0
LOOK_EVERY = 0.02
"""Seconds between two looks whether a load is done: its time is too long by at most that."""
GLANCE_EVERY = 0.0005
"""The same for one job."""
LAST = "SELECT true FROM job_events WHERE event_id = $1"


@dataclass(frozen=True, slots=True)
class Many:
    """So many jobs published at once. `seconds` from the first publish to the last ack, which follows the last event."""

    jobs: int
    seconds: float
    spent: Spent
    faults: list[str]

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds


@dataclass(frozen=True, slots=True)
class Alone:
    """Jobs one after the other. Seconds of each, from its publish: to its first handler, and to its last event in the table."""

    hops: Sequence[float]
    wholes: Sequence[float]
    spent: Spent
    faults: list[str]

    @property
    def jobs(self) -> int:
        return len(self.wholes)


async def many(system: System, count: int) -> Many:
    requests = await system.opened(count)
    before, began = await spent(system), time.perf_counter()
    await _published(system, requests)
    await _until_done(system)
    seconds = time.perf_counter() - began
    return Many(count, seconds, (await spent(system)).since(before), await faults(system, [one.job_id for one in requests]))


async def _published(system: System, requests: Sequence[Envelope]) -> None:
    places = asyncio.Semaphore(PUBLISHERS)

    async def publish(request: Envelope) -> None:
        async with places:
            await system.bus.publish(request)

    await asyncio.gather(*(publish(request) for request in requests))


async def _until_done(system: System) -> None:
    """Until the work stream is empty: a message goes when it is acked, which the last event of its job comes before."""
    async with asyncio.timeout(PATIENCE):
        while (await system.bus.js.stream_info(CLIPS)).state.messages:
            await asyncio.sleep(LOOK_EVERY)


async def one_by_one(system: System, count: int) -> Alone:
    requests = await system.opened(count)
    before = await spent(system)
    published, wholes = dict[UUID, float](), []
    for request in requests:
        published[request.job_id] = time.time()
        wholes.append(await _whole(system, request))
    await _until_done(system)
    cost = (await spent(system)).since(before)
    began = system.began()
    hops = [began[job] - at for job, at in published.items()]
    return Alone(hops, wholes, cost, await faults(system, list(published)))


async def _whole(system: System, request: Envelope) -> float:
    """Seconds until the last event can be read."""
    last, began = answer_id(request.job_id, StageName.BURNER, 1), time.perf_counter()
    publishing = asyncio.create_task(system.bus.publish(request))
    async with asyncio.timeout(PATIENCE), system.pool.acquire() as connection:
        while not await connection.fetchval(LAST, last):
            await asyncio.sleep(GLANCE_EVERY)
    seconds = time.perf_counter() - began
    await publishing
    return seconds
