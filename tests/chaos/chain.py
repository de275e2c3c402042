"""The four stages as one process runs them, with quick and honest handlers, on real servers by way of the faulty proxies.

The runner, the store and the bus are the real ones. What came of the jobs is counted in `verdict.py`.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from libs.common.domain.events import CONSUMES, Answer, Envelope, Priority, StageName
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import jetstream, streams
from libs.common.runtime.context import Context
from libs.common.runtime.embedded import embedded_servers
from libs.common.runtime.event_store import PostgresEventStore, open_event_store
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane import Lane
from libs.common.runtime.pull import run_stage
from libs.common.runtime.settings import CommonSettings, Secret
from libs.common.runtime.world import Stage, World
from tests.builders import burned, envelope, ready, requested, transcribed, uploaded
from tests.runtime.own_nats import connected_bus
from tools.migrations import migrate

ACK_WAIT = 2.0
PATIENCE = 1.0
"""Seconds that a publish or an ack waits for its answer here, instead of PUBLISH_TIMEOUT's five."""
MIGRATIONS = Path(__file__).parents[2] / "libs" / "common" / "migrations"
EVERYTHING = {"with_subtitles": True, "burn_subtitles": True}
Key = tuple[UUID, StageName, int]
Handler = Callable[[Any, Context[Any, Any]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Servers:
    """The real ones' URLs: where jobs are put in and looked at, past the proxies."""

    nats: str
    postgres: str


@asynccontextmanager
async def real_servers(variables: dict[str, str] | None = None) -> AsyncIterator[Servers]:
    """A NATS of one's own, and the Postgres of `variables` or one's own too."""
    away = {"S3_ENDPOINT_URL": "none"} | ({"DATABASE_URL": variables["DATABASE_URL"]} if variables else {})
    with tempfile.TemporaryDirectory(prefix="clipstream-chaos-") as home:
        async with embedded_servers(Path(home), away) as own:
            if variables is None:
                await migrate(MIGRATIONS, own.variables)
            yield Servers(own.variables["NATS_URL"], own.variables["DATABASE_URL"])


@dataclass(slots=True)
class Handlers:
    """One answer a stage, after a moment; `calls` counts them by job, stage and run."""

    random: Random
    longest: float = 0.02
    calls: Counter[Key] = field(default_factory=Counter)

    def of(self, name: StageName) -> Handler:
        async def handle(_event: Any, ctx: Context[Any, Any]) -> Answer:
            self.calls[ctx.job_id, name, ctx.job.run] += 1
            await asyncio.sleep(self.random.uniform(0, self.longest))
            return answer_of(name, ctx.job_id)

        return handle


def answer_of(name: StageName, job_id: UUID) -> Answer:
    match name:
        case StageName.RESOLVER:
            return ready(source_key=f"sources/{job_id}/source.mp4")
        case StageName.CLIPPER:
            return uploaded(video_key=f"results/{job_id}/clip.mp4")
        case StageName.ASR:
            return transcribed(srt_key=f"results/{job_id}/clip.srt")
        case _:
            return burned(video_key=f"results/{job_id}/clip.subbed.mp4")


@dataclass(slots=True)
class Chain:
    """All four stages at work. Jobs are put in by the stages' own bus; `store` and `bus` go past the proxies, to look."""

    handlers: Handlers
    store: PostgresEventStore
    bus: JetStreamBus
    workers: JetStreamBus
    jobs: list[UUID] = field(default_factory=list)

    async def submit(self, count: int, **wish: Any) -> None:
        """Jobs as the API and the reconciler put them in: stored, then published until that is confirmed."""
        openings = [envelope(requested(**wish or EVERYTHING)) for _ in range(count)]
        self.jobs += [opening.job_id for opening in openings]
        await asyncio.gather(*map(self._put_in, openings))

    async def _put_in(self, opening: Envelope) -> None:
        await self.store.append(opening)
        while True:
            with suppress(Failure):
                await self.workers.publish(opening)
                return

    async def messages(self) -> int:
        """In the work stream, waiting or in hand."""
        return int((await self.bus.js.stream_info(CLIPS)).state.messages)


def settings(scratch: Path, ack_wait: float = ACK_WAIT) -> CommonSettings:
    return CommonSettings(
        database_url=Secret(""),
        nats_url=Secret(""),
        scratch_dir=scratch,
        queue_ack_wait_sec=ack_wait,
        queue_retry_backoff_ms_base=50,
        worker_shutdown_timeout_ms=1000,
    )


@contextmanager
def impatient() -> Iterator[None]:
    """Time-scaled: a lost answer is noticed after PATIENCE."""
    before, jetstream.PUBLISH_TIMEOUT = jetstream.PUBLISH_TIMEOUT, PATIENCE
    try:
        yield
    finally:
        jetstream.PUBLISH_TIMEOUT = before


@asynccontextmanager
async def chain(servers: Servers, *, nats: str | None = None, postgres: str | None = None, seed: int = 0) -> AsyncIterator[Chain]:
    """The stages run while inside; `nats` and `postgres` are the proxies' URLs, past which the rest goes."""
    async with AsyncExitStack() as stack:
        stack.enter_context(impatient())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clipstream-chaos-")))
        bus = await stack.enter_async_context(connected_bus(servers.nats))
        await ready_streams(bus)
        store = await stack.enter_async_context(open_event_store(servers.postgres))
        theirs = await stack.enter_async_context(open_event_store(postgres or servers.postgres))
        workers = await stack.enter_async_context(connected_bus(nats or servers.nats))
        health = Health({"nats": workers.ping, "postgres": theirs.ping})
        made = Chain(Handlers(Random(seed)), store, bus, workers)
        world = World(store=theirs, bus=workers, objects=None, health=health, settings=settings(scratch))  # type: ignore[arg-type]
        async with at_work(world, made.handlers.of):
            yield made


async def ready_streams(bus: JetStreamBus, ack_wait: float = ACK_WAIT) -> None:
    """The streams as they are in production, but for their patience with a silent worker."""
    await streams.ensure(bus.js, replicas=1, deliveries=streams.Deliveries(ack_wait=ack_wait))


@asynccontextmanager
async def at_work(world: World, handler_of: Callable[[StageName], Handler]) -> AsyncIterator[None]:
    """All four stages take messages while inside."""
    stopping = asyncio.Event()
    watching = asyncio.create_task(world.health.watch())
    async with asyncio.TaskGroup() as running:
        for name, consumes in CONSUMES.items():
            lanes = {priority: Lane(world.bus, name, priority) for priority in Priority}  # type: ignore[arg-type]
            running.create_task(run_stage(Stage(name=name, consumes=consumes, handle=handler_of(name)), world, lanes, stopping))
        try:
            yield
        finally:
            stopping.set()
            watching.cancel()
