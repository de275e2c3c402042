"""A stage under overload, on a real JetStream: fast before normal before bulk, bulk never starves, nobody holds more than its places."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.common.domain.events import AsrDone, ClipBurned, Envelope, Priority
from libs.common.domain.lanes import FAIR, lane_order
from libs.common.domain.subjects import CLIPS, durable
from libs.common.runtime import streams
from libs.common.runtime.context import Context
from libs.common.runtime.jetstream import JetStreamBus
from tests.fakes import MemoryEventStore
from tests.runtime.own_nats import connected_bus, own_nats
from tests.runtime.test_pull import BURNER, Desk, Handler

EACH = 320
"""Messages on every lane."""
PLACES = 3
WINDOW = 5 * FAIR
SLACK = 0.05
LANES = [priority.value for priority in (Priority.FAST, Priority.NORMAL, Priority.BULK)]

SHARES = {priority.value: sum(lane_order(turn)[0] is priority for turn in range(FAIR)) / FAIR for priority in Priority}


@pytest.fixture
async def bus(servers: dict[str, str], tmp_path: Path) -> AsyncIterator[JetStreamBus]:
    async with own_nats(servers, tmp_path / "nats") as own, connected_bus(own.variables["NATS_URL"]) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield bus


async def ack_pending(bus: JetStreamBus) -> int:
    """Messages that workers hold, as the server counts them."""
    infos = await asyncio.gather(*(bus.js.consumer_info(CLIPS, durable(BURNER, priority)) for priority in Priority))
    return sum(info.num_ack_pending or 0 for info in infos)


async def submitted(desk: Desk, count: int, priorities: list[str] = LANES) -> None:
    for _ in range(count):
        await asyncio.gather(*(desk.submit(priority, Priority(priority)) for priority in priorities))


class ManyJobs(MemoryEventStore):
    """Finds a job's events without looking at all others'."""

    def __init__(self) -> None:
        super().__init__()
        self.by_job: dict[UUID, dict[UUID, Envelope]] = defaultdict(dict)
        self.seen = 0

    async def history(self, job_id: UUID) -> list[Envelope]:
        for row in self.rows[self.seen :]:
            self.by_job[row.job_id][row.id] = row
        self.seen = len(self.rows)
        return list(self.by_job[job_id].values())

    async def append(self, envelope: Envelope, **_: Any) -> Envelope:
        await self.history(envelope.job_id)
        if envelope.id not in self.by_job[envelope.job_id]:
            self.rows.append(envelope)
        return self.by_job[envelope.job_id].get(envelope.id, envelope)


def two_workers(bus: JetStreamBus, folder: Path, handle: Handler | None = None) -> list[Desk]:
    """They know the same jobs, and note in one list what they did, in order."""
    desks = [Desk(bus, folder / name, places=PLACES, handle=handle) for name in ("a", "b")]
    desks[1].done, store = desks[0].done, ManyJobs()
    for desk in desks:
        desk.store, desk.world = store, replace(desk.world, store=store)
    return desks


async def test_every_lane_has_its_share_under_overload_and_what_an_empty_one_leaves_goes_to_the_others(
    bus: JetStreamBus, tmp_path: Path
) -> None:
    desks = two_workers(bus, tmp_path)
    await submitted(desks[0], EACH)
    running, most = [desk.run() for desk in desks], 0
    done = desks[0].done
    async with asyncio.timeout(120):
        while len(done) < 3 * EACH:
            most = max(most, await ack_pending(bus))
            await asyncio.sleep(0.02)
    for desk, task in zip(desks, running, strict=True):
        await desk.stop(task)
    assert 0 < most <= 2 * PLACES
    assert Counter(done) == dict.fromkeys(LANES, EACH)

    fast_ends = len(done) - done[::-1].index("fast")
    for window in windows(done[: fast_ends - WINDOW]):
        assert window["fast"] / WINDOW >= SHARES["fast"] - SLACK
        assert window["normal"] >= WINDOW // FAIR - 2
        assert window["bulk"] >= WINDOW // FAIR - 2
    normal_ends = len(done) - done[::-1].index("normal")
    between = Counter(done[fast_ends : normal_ends - WINDOW])
    assert between["normal"] > between["bulk"] >= between.total() // FAIR - 2
    assert set(done[normal_ends:]) == {"bulk"}


async def test_workers_hold_what_they_have_places_for_however_much_waits(bus: JetStreamBus, tmp_path: Path) -> None:
    release = asyncio.Event()

    async def hold(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        await release.wait()
        return await desks[0].note(event, ctx)

    desks = two_workers(bus, tmp_path, hold)
    await submitted(desks[0], 20)
    running = [desk.run() for desk in desks]
    async with asyncio.timeout(10):
        while await ack_pending(bus) < 2 * PLACES:
            await asyncio.sleep(0.01)
    assert {await ack_pending(bus) for _ in range(300)} == {2 * PLACES}
    release.set()
    await desks[0].until(60)
    for desk, task in zip(desks, running, strict=True):
        await desk.stop(task)


def windows(done: list[str]) -> list[Counter[str]]:
    return [Counter(done[n : n + WINDOW]) for n in range(0, len(done) - WINDOW + 1, WINDOW)]
