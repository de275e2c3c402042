"""Feeding a stage from a real JetStream: priorities, room, stopping, and what a restart of the server does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.common.domain.events import AsrDone, ClipBurned, Priority, StageName
from libs.common.domain.job import fold
from libs.common.domain.lanes import FAIR, lane_order
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import streams
from libs.common.runtime.context import Context
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.event_store import open_event_store
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.lane import Lane
from libs.common.runtime.pull import ROUNDS, run_stage
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.stage import Stage, World
from tests.builders import burned, envelope, history, ready, requested, transcribed, uploaded
from tests.fakes import MemoryEventStore

BURNER = StageName.BURNER
Handler = Callable[[AsrDone, Context[Any, Any]], Awaitable[ClipBurned]]


def test_every_lane_comes_first_in_some_turn() -> None:
    orders = [lane_order(turn) for turn in range(FAIR)]
    assert {order[0] for order in orders} == set(Priority)
    assert [order[0] for order in orders].count(Priority.FAST) == FAIR - 2
    assert all(set(order) == set(Priority) for order in orders)


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[LocalServers]:
    """A NATS of the test's own: streams start empty, and it may be killed."""
    away = {"DATABASE_URL": "x", "S3_ENDPOINT_URL": "x"}
    async with embedded_servers(tmp_path / "nats", away) as servers:
        yield servers


@pytest.fixture
async def bus(own: LocalServers) -> AsyncIterator[JetStreamBus]:
    async with open_bus(own.variables["NATS_URL"], name="test") as bus:
        await connected(bus)
        await streams.ensure(bus.js, replicas=1)
        yield bus


async def connected(bus: JetStreamBus) -> None:
    async with asyncio.timeout(60):
        while not await answers(bus):
            await asyncio.sleep(0.01)


async def answers(bus: JetStreamBus) -> bool:
    health = Health({"nats": bus.ping})
    return await health.check_all()


def every_lane(bus: JetStreamBus) -> dict[Priority, Lane]:
    return {priority: Lane(bus, BURNER, priority) for priority in Priority}


class Desk:
    """A burner stage on the real bus, whose handler notes what it is given."""

    def __init__(self, bus: JetStreamBus, tmp_path: Path, *, places: int = 1, in_hand: int = 1, handle: Handler | None = None) -> None:
        self.bus, self.store = bus, MemoryEventStore()
        self.done: list[str] = []
        self.stopping = asyncio.Event()
        settings = CommonSettings(
            database_url=Secret(""),
            nats_url=Secret(""),
            scratch_dir=tmp_path,
            worker_max_concurrency=places,
            worker_shutdown_timeout_ms=200,
        )
        self.world = World(store=self.store, bus=bus, objects=None, health=Health({"nats": bus.ping}), settings=settings)  # type: ignore[arg-type]
        self.stage = Stage(name=BURNER, consumes=AsrDone, handle=handle or self.note, in_hand=in_hand)

    async def note(self, _event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        self.done.append(ctx.job.correlation_id)
        return burned()

    async def submit(self, name: str, priority: Priority = Priority.NORMAL) -> None:
        """A job whose subtitles are there and wait to be burned."""
        wanted = requested(with_subtitles=True, burn_subtitles=True)
        job_id = uuid4()
        events = [envelope(e, job_id, correlation_id=name, priority=priority) for e in (wanted, ready(), uploaded(), transcribed())]
        self.store.rows += events
        await self.bus.publish(events[-1])

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(run_stage(self.stage, self.world, every_lane(self.bus), self.stopping))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.done) < count or await self.left():
                await asyncio.sleep(0.005)

    async def left(self) -> int:
        """Messages in the stream, waiting or in hand."""
        return int((await self.bus.js.stream_info(CLIPS)).state.messages)

    async def stop(self, running: asyncio.Task[None]) -> None:
        self.stopping.set()
        await asyncio.wait_for(running, 10)


async def test_fast_goes_before_normal_before_bulk_and_bulk_does_not_starve(bus: JetStreamBus, tmp_path: Path) -> None:
    desk = Desk(bus, tmp_path)
    for priority in (Priority.BULK, Priority.NORMAL, Priority.FAST):
        for _ in range(8):
            await desk.submit(priority.value, priority)
    running = desk.run()
    await desk.until(24)
    await desk.stop(running)
    assert desk.done[:3] == ["fast"] * 3
    assert "normal" in desk.done[:8]
    assert "bulk" in desk.done[:8]
    assert desk.done.index("fast") < desk.done.index("normal") < desk.done.index("bulk")
    assert sum(n for n, name in enumerate(desk.done) if name == "fast") < sum(n for n, name in enumerate(desk.done) if name == "bulk")


async def test_an_idle_stage_takes_what_comes_on_any_lane(bus: JetStreamBus, tmp_path: Path) -> None:
    desk = Desk(bus, tmp_path, places=2)
    running = desk.run()
    for n, priority in enumerate([Priority.NORMAL, Priority.BULK, Priority.FAST] * 3, 1):
        await desk.submit(priority.value, priority)
        await desk.until(n)
    await desk.stop(running)
    assert {fold([row for row in desk.store.rows if row.job_id == job]).status for job in {r.job_id for r in desk.store.rows}} == {"done"}


async def test_a_full_worker_leaves_the_rest_to_others(bus: JetStreamBus, tmp_path: Path) -> None:
    """One place, held by a job that does not end: what arrives on every lane is there for another worker at once."""
    held, release = asyncio.Event(), asyncio.Event()

    async def endless(_event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        held.set()
        await release.wait()
        return await busy.note(_event, ctx)

    busy = Desk(bus, tmp_path / "a", handle=endless)
    first = busy.run()
    await busy.submit("first")
    await asyncio.wait_for(held.wait(), 10)
    other = Desk(bus, tmp_path / "b")
    for priority in Priority:
        await other.submit(priority.value, priority)
    second = other.run()
    async with asyncio.timeout(40):
        while len(other.done) < 3:
            await asyncio.sleep(0.005)
    release.set()
    await busy.until(1)
    await busy.stop(first)
    await other.stop(second)
    assert busy.done == ["first"]


async def test_a_message_that_meets_busy_workers_only_is_not_given_up(bus: JetStreamBus, tmp_path: Path) -> None:
    """Each of them asked for it while it was idle. Were it passed on by all, it would be delivered more often than `max_deliver` allows."""
    await streams.ensure(bus.js, replicas=1, deliveries=streams.Deliveries(max_deliver=ROUNDS + 1))
    held, release = asyncio.Semaphore(0), asyncio.Event()

    async def endless(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        held.release()
        await release.wait()
        return await desks[0].note(event, ctx)

    desks = [Desk(bus, tmp_path, handle=endless) for _ in range(2 * ROUNDS)]
    for desk in desks[1:]:
        desk.world = replace(desk.world, store=desks[0].store)
    running = [desk.run() for desk in desks]
    await waited_for(bus, Priority.BULK, len(desks))
    for n in range(len(desks)):
        await desks[0].submit(f"{n}")
    async with asyncio.timeout(60):
        for _ in desks:
            await held.acquire()
    await desks[0].submit("sent round", Priority.BULK)
    async with asyncio.timeout(60):
        while (await bus.js.consumer_info(CLIPS, "burner-bulk")).num_redelivered == 0:
            await asyncio.sleep(0.005)
    release.set()
    await desks[0].until(len(desks) + 1)
    for desk, run in zip(desks, running, strict=True):
        await desk.stop(run)
    assert (await bus.js.stream_info("ADVISORIES")).state.messages == 0


async def waited_for(bus: JetStreamBus, priority: Priority, count: int) -> None:
    """Return when so many idle workers ask for a lane's next message."""
    async with asyncio.timeout(60):
        while ((await bus.js.consumer_info(CLIPS, f"burner-{priority}")).num_waiting or 0) < count:
            await asyncio.sleep(0.005)


async def test_work_that_waits_for_something_scarce_is_passed_by_other_work(bus: JetStreamBus, tmp_path: Path) -> None:
    """One place and two messages in hand: the second ends while the first still waits."""
    release = asyncio.Event()

    async def waiting_first(event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        if ctx.job.correlation_id == "first":
            await release.wait()
        return await desk.note(event, ctx)

    desk = Desk(bus, tmp_path, in_hand=2, handle=waiting_first)
    await desk.submit("first")
    await desk.submit("second")
    running = desk.run()
    async with asyncio.timeout(40):
        while not desk.done:
            await asyncio.sleep(0.005)
    release.set()
    await desk.until(2)
    await desk.stop(running)
    assert desk.done == ["second", "first"]


async def test_a_stopped_worker_finishes_or_hands_back_and_the_next_one_has_it_at_once(bus: JetStreamBus, tmp_path: Path) -> None:
    held = asyncio.Event()

    async def endless(_event: AsrDone, _ctx: Context[Any, Any]) -> ClipBurned:
        held.set()
        await asyncio.Event().wait()
        return burned()

    stopped = Desk(bus, tmp_path / "a", handle=endless)
    await stopped.submit("job")
    running = stopped.run()
    await asyncio.wait_for(held.wait(), 10)
    await stopped.stop(running)
    after = Desk(bus, tmp_path / "b")
    after.store.rows = stopped.store.rows
    second = after.run()
    await after.until(1)
    await after.stop(second)
    job = fold(after.store.rows)
    assert (job.status, job.attempts_of(BURNER, 1)) == ("done", 1)


async def test_a_killed_server_costs_time_and_nothing_else(own: LocalServers, bus: JetStreamBus, tmp_path: Path) -> None:
    desk = Desk(bus, tmp_path, places=4)
    running = desk.run()
    for n in range(20):
        await desk.submit(f"before-{n}")
    await own.nats.kill()
    await own.nats.start()
    await connected(bus)
    for n in range(5):
        await desk.submit(f"after-{n}")
    await desk.until(25)
    await desk.stop(running)
    assert sorted(set(desk.done)) == sorted({f"before-{n}" for n in range(20)} | {f"after-{n}" for n in range(5)})
    answers_written = [row.job_id for row in desk.store.rows if isinstance(row.event, ClipBurned)]
    assert len(answers_written) == len(set(answers_written)) == 25


async def test_the_same_fact_published_twice_is_one_message(bus: JetStreamBus) -> None:
    [_, source] = history(requested(), ready())
    await bus.publish(source)
    await bus.publish(source)
    assert (await bus.js.stream_info(CLIPS)).state.messages == 1


async def test_the_store_and_the_bus_work_while_their_servers_are_away_only_in_that_they_say_so() -> None:
    async with open_bus("nats://127.0.0.1:1", name="test") as bus, open_event_store("postgresql://x@127.0.0.1:1/x") as store:
        health = Health({"nats": bus.ping, "postgres": store.ping})
        assert not await health.check_all()
        assert {name: pulse.up for name, pulse in health.pulses.items()} == {"nats": False, "postgres": False}
