"""A stage under overload, on a real JetStream: fast before normal before bulk, bulk never starves, nobody holds more than its places."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import AsrDone, ClipBurned, Envelope, Priority
from libs.common.domain.lanes import FAIR, lane_order, lane_shares
from libs.common.domain.subjects import CLIPS, durable
from libs.common.runtime import streams
from libs.common.runtime.context import Context
from libs.common.runtime.event_store import Stored
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane import Lane
from libs.common.runtime.pull import run_stage
from tests.fakes import MemoryEventStore
from tests.runtime.own_nats import connected_bus, own_nats
from tests.runtime.test_pull import BURNER, Desk, Handler, every_lane

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

    async def append(self, envelope: Envelope, **_: Any) -> Stored:
        await self.history(envelope.job_id)
        if envelope.id not in self.by_job[envelope.job_id]:
            self.rows.append(envelope)
        known = await self.history(envelope.job_id)
        return Stored(self.by_job[envelope.job_id][envelope.id], len(known))


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
    async with asyncio.timeout(40):
        while await ack_pending(bus) < 2 * PLACES:
            await asyncio.sleep(0.01)
    assert {await ack_pending(bus) for _ in range(300)} == {2 * PLACES}
    release.set()
    await desks[0].until(60)
    for desk, task in zip(desks, running, strict=True):
        await desk.stop(task)


def windows(done: list[str]) -> list[Counter[str]]:
    return [Counter(done[n : n + WINDOW]) for n in range(0, len(done) - WINDOW + 1, WINDOW)]


@given(st.integers(0, 100), st.integers(1, 100))
def test_the_turns_of_many_places_are_shared_out_as_if_each_asked_for_itself(turn: int, places: int) -> None:
    shares = lane_shares(turn, places)
    assert sum(shares.values()) == places
    assert next(iter(shares)) is lane_order(turn)[0]
    assert all(shares.get(lane, 0) >= places // FAIR for lane in Priority)


async def test_a_lane_gives_what_it_has_at_once_and_no_more_than_is_asked_for(bus: JetStreamBus, tmp_path: Path) -> None:
    desk, lane = Desk(bus, tmp_path), Lane(bus, BURNER, Priority.NORMAL)
    assert await lane.take_now(5) == []
    for name in "abcde":
        await desk.submit(name)
    for most, count in ((2, 2), (2, 2), (5, 1), (5, 0)):
        deliveries = await lane.take_now(most)
        assert len(deliveries) == count
        await asyncio.gather(*(delivery.ack() for delivery in deliveries))
    assert await desk.left() == 0


async def test_what_was_handed_back_comes_with_what_is_new(bus: JetStreamBus, tmp_path: Path) -> None:
    """A message with none behind it ends an answer early, but only a new one: those that come again are not counted behind it."""
    desk, lane = Desk(bus, tmp_path), Lane(bus, BURNER, Priority.NORMAL)
    for name in "abc":
        await desk.submit(name)
    for delivery in await lane.take_now(3):
        await delivery.nak(0)
    await desk.submit("d")
    found: list[int] = []
    async with asyncio.timeout(40):
        while len(found) < 4:
            found += [delivery.sequence for delivery in await lane.take_now(10)]
    assert sorted(found) == [1, 2, 3, 4]


async def test_a_stage_with_many_places_fills_them_by_few_questions(bus: JetStreamBus, tmp_path: Path) -> None:
    release, desk = asyncio.Event(), Desk(bus, tmp_path, places=20)

    async def hold(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        await release.wait()
        return await desk.note(event, ctx)

    desk.stage = replace(desk.stage, handle=hold)
    for number in range(30):
        await desk.submit(str(number))
    lanes = every_lane(bus)
    running = asyncio.create_task(run_stage(desk.stage, desk.world, lanes, desk.stopping))
    info = partial(bus.js.consumer_info, CLIPS, durable(BURNER, Priority.NORMAL))
    async with asyncio.timeout(40):
        while ((await info()).num_ack_pending or 0) < 20:
            await asyncio.sleep(0.005)
    assert sum(lane._questions for lane in lanes.values()) <= 5
    release.set()
    await desk.until(30)
    await desk.stop(running)
