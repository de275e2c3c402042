"""Our side under its two loads: many jobs in flight, and one after the other."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from nats.aio.msg import Msg

from bench.pipeline.judge import faults
from bench.pipeline.spending import Spent, spent
from bench.pipeline.system import System
from libs.common.domain.events import Envelope, Priority, StageName
from libs.common.domain.subjects import CLIPS, durable

PUBLISHERS = 64
PATIENCE = 300.0
LOOK_EVERY = 0.02
"""Seconds between two looks whether a load is done: its time is too long by at most that."""
LAST_ACK = f"$JS.ACK.{CLIPS}.{durable(StageName.BURNER, Priority.NORMAL)}.>"
"""Where the last stage says that it is done with a message: its event is in the table by then."""


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
    """Jobs one after the other. Seconds of each, from its publish: to its first handler, and to the ack that follows its last event."""

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
    published, wholes, done = dict[UUID, float](), list[float](), asyncio.Event()

    async def heard(_: Msg) -> None:
        done.set()

    listening = await system.bus.client.subscribe(LAST_ACK, cb=heard)
    for request in requests:
        published[request.job_id] = time.time()
        began_at = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            await system.bus.publish(request)
            await done.wait()
        wholes.append(time.perf_counter() - began_at)
        done.clear()
    await listening.unsubscribe()
    await _until_done(system)
    cost = (await spent(system)).since(before)
    began = system.began()
    hops = [began[job] - at for job, at in published.items()]
    return Alone(hops, wholes, cost, await faults(system, list(published)))
