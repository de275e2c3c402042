"""A stream that is full refuses the publisher: what a stage must pass on or bury waits for room, and no job is failed or charged for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from nats.js import JetStreamContext
from nats.js.errors import APIError

from libs.common.domain.events import Answer, AsrDone, ClipBurned, ClipUploaded, Envelope, Priority, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from libs.common.runtime import full_streams, streams
from libs.common.runtime.context import Context
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus, StreamFull
from libs.common.runtime.lane import Lane
from libs.common.runtime.pull import run_stage
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.world import Stage, World
from tests.builders import burned, envelope, ready, requested, transcribed, uploaded
from tests.fakes import MemoryEventStore
from tests.runtime.nats_cluster import nats_cluster
from tests.runtime.own_nats import connected_bus

ROOM = 5
SOON = 20.0


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[JetStreamBus]:
    async with nats_cluster(tmp_path / "nats", sync=("always",)) as server, connected_bus(server.url) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield bus


async def limit(js: JetStreamContext, stream: str, **limits: int) -> None:
    await js.update_stream((await js.stream_info(stream)).config.evolve(**limits))


async def waiting(js: JetStreamContext, stream: str) -> int:
    return int((await js.stream_info(stream)).state.messages)


async def transcribe(_event: ClipUploaded, _ctx: Context[Any, Any]) -> Answer:
    return transcribed()


async def burn(_event: AsrDone, _ctx: Context[Any, Any]) -> Answer:
    return burned()


async def refuse(_event: AsrDone, _ctx: Context[Any, Any]) -> Answer:
    raise Failure(Code.SOURCE_UNREADABLE, "broken")


class Floor:
    """Stages at work on one bus, and the jobs that they work on."""

    def __init__(self, bus: JetStreamBus, scratch: Path) -> None:
        self.store = MemoryEventStore()
        self.bus = bus
        self.stopping = asyncio.Event()
        settings = CommonSettings(database_url=Secret(""), nats_url=Secret(""), scratch_dir=scratch, worker_shutdown_timeout_ms=200)
        health = Health({"nats": bus.ping})
        self.world = World(store=self.store, bus=bus, objects=None, health=health, settings=settings)  # type: ignore[arg-type]
        self.running: list[asyncio.Task[None]] = []

    def begin(self, stage: Stage[Any]) -> None:
        lanes = {priority: Lane(self.bus, stage.name, priority) for priority in Priority}
        self.running.append(asyncio.create_task(run_stage(stage, self.world, lanes, self.stopping)))

    async def end(self) -> None:
        self.stopping.set()
        await asyncio.gather(*self.running)

    def job(self, *more: Answer) -> Envelope:
        job_id = uuid4()
        wanted = requested(with_subtitles=True, burn_subtitles=True)
        self.store.rows += (events := [envelope(e, job_id) for e in (wanted, ready(), uploaded(), *more)])
        return events[-1]

    @property
    def types(self) -> list[str]:
        return [type(row.event).__name__ for row in self.store.rows]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SOON):
        while not await holds():
            await asyncio.sleep(0.05)


ASR = Stage(name=StageName.ASR, consumes=ClipUploaded, handle=transcribe)
BURNER = Stage(name=StageName.BURNER, consumes=AsrDone, handle=burn)


@pytest.mark.parametrize("limits", [{"max_msgs": ROOM}, {"max_bytes": 4000}])
async def test_a_stream_full_of_the_first_stages_work_drains_and_every_job_is_done(
    bus: JetStreamBus, tmp_path: Path, limits: dict[str, int]
) -> None:
    floor = Floor(bus, tmp_path)
    await limit(bus.js, "CLIPS", **limits)
    taken = 0
    with pytest.raises(StreamFull):
        while True:
            await bus.publish(floor.job())
            taken += 1
    floor.store.rows = [row for row in floor.store.rows if row.job_id != floor.store.rows[-1].job_id]  # that one found no room
    floor.begin(ASR)
    floor.begin(BURNER)
    await until(lambda: all_done(floor, taken))
    await floor.end()
    assert await waiting(bus.js, "CLIPS") == await waiting(bus.js, "DLQ") == 0
    assert "StageRetried" not in floor.types
    assert floor.types.count("StageStarted") == 2 * taken, "no attempt was begun twice"


async def all_done(floor: Floor, count: int) -> bool:
    jobs = {row.job_id for row in floor.store.rows}
    return sum(isinstance(row.event, ClipBurned) for row in floor.store.rows) == count == len(jobs)


async def test_what_finds_no_room_at_all_is_left_to_the_reconciler(
    bus: JetStreamBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else takes the room that our own message made: the answer stands in the event table, and nobody waits."""
    monkeypatch.setattr(full_streams, "TRY_PAUSE", 0.01)
    floor = Floor(bus, tmp_path)
    await bus.publish(floor.job())
    await limit(bus.js, "CLIPS", max_bytes=1)
    floor.begin(ASR)
    await until(lambda: answered(floor))
    await floor.end()
    assert await waiting(bus.js, "CLIPS") == 0
    assert "StageRetried" not in floor.types
    [*_, answer] = floor.store.rows
    await limit(bus.js, "CLIPS", max_bytes=-1)
    assert await bus.publish(answer), "the reconciler's publish is taken"


async def answered(floor: Floor) -> bool:
    return "AsrDone" in floor.types and not await waiting(floor.bus.js, "CLIPS")


async def test_a_job_whose_dead_letter_finds_no_room_is_neither_failed_nor_charged_until_it_does(
    bus: JetStreamBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.runtime.stage.LETTERS_PAUSE", 0.3)
    floor = Floor(bus, tmp_path)
    await limit(bus.js, "DLQ", max_msgs=1)
    await bus.js.publish("dlq.other", b"")
    await bus.publish(floor.job(transcribed()))
    floor.begin(Stage(name=StageName.BURNER, consumes=AsrDone, handle=refuse))
    await until(lambda: tried(floor, 2))
    job = fold(floor.store.rows)
    assert (job.status, job.attempts_of(StageName.BURNER, 1)) in {("processing", 0), ("processing", 1)}
    assert await waiting(bus.js, "CLIPS") == 1
    await limit(bus.js, "DLQ", max_msgs=-1)
    await until(lambda: buried(floor))
    await floor.end()
    assert fold(floor.store.rows).status == "failed"
    assert (await bus.js.get_last_msg("DLQ", "dlq.asr.done")).headers["Clip-Error-Code"] == "SOURCE_UNREADABLE"  # type: ignore[index]


async def tried(floor: Floor, count: int) -> bool:
    return floor.types.count("StageRetried") >= count


async def buried(floor: Floor) -> bool:
    return await waiting(floor.bus.js, "DLQ") == 2 and await waiting(floor.bus.js, "CLIPS") == 0


async def test_a_message_that_is_too_big_is_not_taken_for_a_full_stream(bus: JetStreamBus) -> None:
    await limit(bus.js, "CLIPS", max_msg_size=100)
    with pytest.raises(Failure) as failure:
        await bus.send("source.ready", b"x" * 1000, {}, stream="CLIPS")
    assert not isinstance(failure.value, StreamFull)
    assert isinstance(failure.value.__cause__, APIError)
