"""Three nats-servers under load while their leaders are killed: does every job get its one answer from each stage, and how soon again?

The real stage runner, on two stages that do nothing, in workers with connections of their own; events in memory.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from nats.js import JetStreamContext

from libs.common.domain.events import Answer, AsrDone, ClipBurned, ClipUploaded, Envelope, Priority, StageName
from libs.common.domain.failures import Failure
from libs.common.domain.job import fold
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ
from libs.common.runtime import streams
from libs.common.runtime.context import Context
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.pull import run_stage
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.world import Stage, World
from tests.builders import burned, envelope, ready, requested, transcribed, uploaded
from tests.fakes import MemoryEventStore
from tests.runtime.nats_cluster import NODES, NatsCluster, answered, nats_cluster
from tests.runtime.own_nats import connected_bus

ACK_WAIT = 2.0
LOAD_PAUSE = 0.1
WORKERS = 2
PATIENCE = 60.0
"""Seconds after which a job counts as stuck."""
CONSUMES = {StageName.ASR: ClipUploaded, StageName.BURNER: AsrDone}
Strike = Callable[[NatsCluster, JetStreamBus, random.Random], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Figures:
    """`recoveries`: seconds from each kill until a job that was submitted after it had gone through both stages.

    `elections`: those of them that the servers themselves took until the stream and both consumers had leaders again.
    """

    kills: int
    jobs: int
    lost: int
    doubled: int
    dead_letters: int
    worked_again: int
    recoveries: tuple[float, ...]
    elections: tuple[float, ...]

    @property
    def own(self) -> float:
        """Seconds that we needed beyond the servers' own, at worst."""
        return max((ours - theirs for ours, theirs in zip(self.recoveries, self.elections, strict=True)), default=0.0)

    @property
    def is_exact(self) -> bool:
        return self.lost == self.doubled == self.dead_letters == 0

    def __str__(self) -> str:
        times = sorted(self.recoveries) or [0.0]
        return (
            f"{self.kills} kills, {self.jobs} jobs: {self.lost} lost, {self.doubled} doubled, {self.dead_letters} dead letters; "
            f"{self.worked_again} worked on again; consuming again after {times[len(times) // 2]:.1f} s (p50), {times[-1]:.1f} s (worst); "
            f"election {max(self.elections, default=0.0):.1f} s (worst), our part of it {self.own:.1f} s (worst)"
        )


@dataclass(slots=True)
class Scene:
    """A cluster at work: jobs come all the time, workers answer them."""

    cluster: NatsCluster
    bus: JetStreamBus
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    worked: Counter[tuple[UUID, StageName]] = field(default_factory=Counter)
    submitted: dict[UUID, float] = field(default_factory=dict)
    last_done: float = 0.0
    """When that job was submitted which came last of all that are done."""
    is_open: bool = True

    async def handle(self, event: ClipUploaded | AsrDone, ctx: Context[Any, Any]) -> Answer:
        stage = StageName.ASR if isinstance(event, ClipUploaded) else StageName.BURNER
        self.worked[ctx.job_id, stage] += 1
        if stage is StageName.ASR:
            return transcribed()
        self.last_done = max(self.last_done, self.submitted[ctx.job_id])
        return burned()

    @property
    def finished(self) -> set[UUID]:
        return {row.job_id for row in self.store.rows if isinstance(row.event, ClipBurned)}

    async def load(self) -> None:
        while self.is_open:
            job = uuid4()
            events = [envelope(e, job) for e in (requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded())]
            self.store.rows += events
            self.submitted[job] = time.monotonic()
            await self.published(events[-1])
            await asyncio.sleep(LOAD_PAUSE)

    async def published(self, cause: Envelope) -> None:
        """As the reconciler does it: again, until the stream has it."""
        while True:
            try:
                await self.bus.publish(cause)
            except Failure:
                await asyncio.sleep(0.1)
            else:
                return

    async def recovered(self, since: float) -> float:
        """Seconds from `since` until a job that was submitted after it is done."""
        async with asyncio.timeout(PATIENCE):
            while self.last_done < since:
                await asyncio.sleep(0.02)
        return time.monotonic() - since

    async def elected(self, since: float) -> float:
        """Seconds from `since` until the stream and the consumers have leaders that answer."""
        js = self.bus.client.jetstream(timeout=0.3)
        async with asyncio.timeout(PATIENCE):
            while not await is_led(js):
                await asyncio.sleep(0.05)
        return time.monotonic() - since

    async def drained(self) -> None:
        """No more jobs come, and those that came are done."""
        self.is_open = False
        async with asyncio.timeout(PATIENCE):
            while await self.waiting(CLIPS) or len(self.finished) < len(self.submitted):
                await asyncio.sleep(0.1)

    async def waiting(self, stream: str) -> int:
        while True:
            try:
                return int((await self.bus.js.stream_info(stream)).state.messages)
            except Exception:  # noqa: BLE001  between two leaders
                await asyncio.sleep(0.1)

    async def given_up(self) -> int:
        """Messages that the server delivered too often. MSG_TERMINATED proves nothing: a new leader says it of messages that were acked."""
        info = await self.bus.js.stream_info(ADVISORIES, subjects_filter=f"{streams.ADVISORY}.MAX_DELIVERIES.>")
        return sum((info.state.subjects or {}).values())

    async def figures(self, times: list[tuple[float, float]]) -> Figures:
        answers = Counter((row.job_id, type(row.event)) for row in self.store.rows if isinstance(row.event, AsrDone | ClipBurned))
        done = sum(fold([row for row in self.store.rows if row.job_id == job]).status == "done" for job in self.submitted)
        return Figures(
            kills=len(times),
            jobs=len(self.submitted),
            lost=len(self.submitted) - done,
            doubled=sum(count - 1 for count in answers.values()),
            dead_letters=await self.waiting(DLQ) + await self.given_up(),
            worked_again=sum(count - 1 for count in self.worked.values()),
            recoveries=tuple(recovery for recovery, _ in times),
            elections=tuple(election for _, election in times),
        )


def settings(scratch: Path) -> CommonSettings:
    return CommonSettings(
        database_url=Secret(""),
        nats_url=Secret(""),
        stream_replicas=NODES,  # type: ignore[arg-type]
        queue_ack_wait_sec=ACK_WAIT,
        scratch_dir=scratch,
        worker_shutdown_timeout_ms=2000,
    )


@asynccontextmanager
async def scene(home: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(nats_cluster(home / "nats"))
        bus = await stack.enter_async_context(connected_bus(cluster.url))
        await answered(lambda: streams.ensure(bus.js, replicas=NODES, deliveries=streams.Deliveries(ack_wait=ACK_WAIT)))
        made = Scene(cluster, bus)
        for n in range(WORKERS):  # each was told of one server only
            await stack.enter_async_context(worker(made, cluster.nodes[n].url, settings(home / "scratch")))
        loading = asyncio.create_task(made.load())
        stack.callback(loading.cancel)
        yield made


@asynccontextmanager
async def worker(scene: Scene, url: str, settings: CommonSettings) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    async with connected_bus(url) as bus:
        health = Health({"nats": bus.ping}, every=2.0)
        world = World(store=scene.store, bus=bus, objects=None, health=health, settings=settings)  # type: ignore[arg-type]
        watching = asyncio.create_task(health.watch())
        async with asyncio.TaskGroup() as running:
            for name, consumes in CONSUMES.items():
                lanes = {priority: streams.lane(bus, settings, name, priority) for priority in Priority}
                running.create_task(run_stage(Stage(name=name, consumes=consumes, handle=scene.handle), world, lanes, stopping))
            try:
                yield
            finally:
                stopping.set()
                watching.cancel()


async def leader_killed(cluster: NatsCluster, bus: JetStreamBus, _: random.Random) -> None:
    await (await cluster.leader(bus)).kill()


async def any_killed(cluster: NatsCluster, _: JetStreamBus, chance: random.Random) -> None:
    await cluster.any_running(chance).kill()


async def timed(scene: Scene, since: float) -> tuple[float, float]:
    """Seconds since then until it consumed again, and until there were leaders again; then all three run, and are whole, again."""
    times = await asyncio.gather(scene.recovered(since), scene.elected(since))
    await scene.cluster.start()
    return times


async def struck(scene: Scene, strike: Strike, chance: random.Random) -> tuple[float, float]:
    await strike(scene.cluster, scene.bus, chance)
    return await timed(scene, time.monotonic())


async def restarted(scene: Scene, n: int) -> tuple[float, float]:
    """One step of a rolling restart, as an operator does it: end it, start it, wait until it is whole."""
    since = time.monotonic()
    await scene.cluster.nodes[n].stop()
    return await timed(scene, since)


async def is_led(js: JetStreamContext) -> bool:
    try:
        info = await js.stream_info(CLIPS)
        await asyncio.gather(*(js.consumer_info(CLIPS, stage) for stage in CONSUMES))
    except Exception:  # noqa: BLE001  whatever it is, no leader answered
        return False
    return bool(info.cluster and info.cluster.leader)


async def leaders_killed(kills: int, seed: int, *, rolling: bool = True) -> Figures:
    """Kill -9 the work stream's leader `kills` times, now and then any server, and at the end restart all three in turn."""
    chance = random.Random(seed)
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="clipstream-cluster-") as home:
        async with scene(Path(home)) as at_work:
            for _ in range(kills):
                strike = any_killed if chance.random() < 0.25 else leader_killed
                times.append(await struck(at_work, strike, chance))
            if rolling:
                times += [await restarted(at_work, n) for n in range(NODES)]
            await at_work.drained()
            return await at_work.figures(times)


if __name__ == "__main__":
    print(asyncio.run(leaders_killed(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
