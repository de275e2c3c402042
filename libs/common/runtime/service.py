"""What every service's main does: settings, logs, connections, the internal port, signals; then its stages or its tasks.

Nothing here waits for a server: a service starts while its dependencies are away, says so in its readiness, and begins when they come.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import uvloop

from libs.common.domain.events import Priority
from libs.common.domain.version import VERSION
from libs.common.runtime import fault_points, logs, metrics, streams, tracing
from libs.common.runtime.background import Step, every, for_ever, running
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.health import Health, Ping
from libs.common.runtime.health_port import health_port
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.nats_monitors import be_well
from libs.common.runtime.news import telling
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.postgres import Pool, open_pool
from libs.common.runtime.pull import Places, run_stage
from libs.common.runtime.resources import watch_resources
from libs.common.runtime.scratch import ScratchRoom
from libs.common.runtime.settings import CommonSettings, from_environment
from libs.common.runtime.worker_reports import send_reports
from libs.common.runtime.world import Stage, World

log = logs.logger(__name__)
S = TypeVar("S", bound=CommonSettings)
RESTART_PAUSE = 2.0
"""Seconds; a task that is over is begun again too."""
POOL = 10
"""Connections to Postgres, at most, of one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """A service's ways to the outside, each made when it is first needed."""

    pool: Pool
    """Of the database; the store's."""
    store: PostgresEventStore
    bus: JetStreamBus
    objects: ObjectStore
    health: Health


@asynccontextmanager
async def connections(
    settings: CommonSettings, name: str, *, needed: Collection[str] | None = None, keeps_plans: bool = False
) -> AsyncIterator[Connections]:
    """Connections whose health is watched; none of them is waited for. `keeps_plans` as in postgres.py."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.database_url.reveal(), connections=POOL, keeps_plans=keeps_plans))
        lasting = settings.environment == "production"
        opened = open_bus(settings.nats_url.reveal(), name=name, needs_streams=lasting, api=settings.nats_api_prefix)
        bus = await stack.enter_async_context(opened)
        store = PostgresEventStore(pool, told=await stack.enter_async_context(telling(bus.client)))
        objects = await stack.enter_async_context(open_object_store(settings))
        health = Health({"postgres": store.ping, "nats": partial(_ping, bus, settings.monitors), "s3": objects.ping}, needed=needed)
        async with running(health.watch(), for_ever("resources", watch_resources, every(RESTART_PAUSE))):
            yield Connections(pool=pool, store=store, bus=bus, objects=objects, health=health)


async def _ping(bus: JetStreamBus, monitors: Sequence[str]) -> None:
    await bus.ping()
    await be_well(monitors)


def run(
    stages: Sequence[Stage[Any]],
    settings_class: type[S],
    *,
    opens: Callable[[S], AbstractAsyncContextManager[Any]] = lambda _: nullcontext(),
    beside: Callable[[S, Connections, Any], Awaitable[None]] | None = None,
    pings: Callable[[Any], Mapping[str, Ping]] = lambda _: {},
) -> None:
    """The main of a service of stages, which is named for the first. `opens` gives what handlers find as their tools.

    `pings` names what of the tools is outside this process, as Health wants it.
    `beside` gets the same tools and runs for ever, as a task does, until the stages have stopped.
    """
    settings = begin(stages[0].name, settings_class)
    uvloop.run(_run_stages(stages, settings, opens, beside, pings))


async def _run_stages(
    stages: Sequence[Stage[Any]],
    settings: S,
    opens: Callable[[S], AbstractAsyncContextManager[Any]],
    beside: Callable[[S, Connections, Any], Awaitable[None]] | None,
    pings: Callable[[Any], Mapping[str, Ping]],
) -> None:
    stopping = stop_signal()
    async with connections(settings, stages[0].name, keeps_plans=True) as c, opens(settings) as tools, health_port(settings, c.health):
        c.health.also_watch(pings(tools))
        if not await settle_streams(settings, c, stopping):
            return
        world = World(store=c.store, bus=c.bus, objects=c.objects, health=c.health, settings=settings, tools=tools)
        scratch = ScratchRoom(settings)
        places = {stage.name: Places(stage, settings, scratch) for stage in stages}
        tasks: dict[str, Step] = {
            "scratch": partial(scratch.watch, c.health),
            "reports": partial(send_reports, c.bus.client, settings.worker, scratch, places),
            **({beside.__name__: partial(beside, settings, c, tools)} if beside else {}),
        }
        async with _lasting(tasks, c.health), asyncio.TaskGroup() as working:
            for stage in stages:
                lanes = {priority: streams.lane(c.bus, settings, stage.name, priority) for priority in Priority}
                working.create_task(run_stage(stage, world, lanes, stopping, places[stage.name]))
    log.info("stopped")


def run_tasks(name: str, tasks: Sequence[Callable[[S, Connections], Awaitable[None]]], settings_class: type[S]) -> None:
    """The main of a service that is no stage: each task runs for ever; one that breaks is logged and begun again."""
    settings = begin(name, settings_class)
    uvloop.run(_run_tasks(name, tasks, settings))


async def _run_tasks(name: str, tasks: Sequence[Callable[[S, Connections], Awaitable[None]]], settings: S) -> None:
    stopping = stop_signal()
    async with connections(settings, name) as c, health_port(settings, c.health):
        if not await settle_streams(settings, c, stopping):
            return
        async with _lasting({task.__name__: partial(task, settings, c) for task in tasks}, c.health):
            await stopping.wait()
    log.info("stopped")


def _lasting(tasks: Mapping[str, Step], health: Health) -> AbstractAsyncContextManager[None]:
    """The tasks run while inside."""
    return running(*(for_ever(name, task, every(RESTART_PAUSE, health)) for name, task in tasks.items()))


async def settle_streams(settings: CommonSettings, c: Connections, stopping: asyncio.Event) -> bool:
    """Wait for the servers, then see to the streams: made where we may, refused in production when work could be lost on them.

    False when the process is to stop. Raises SystemExit that names every broken rule.
    """
    waiting, stopped = asyncio.create_task(c.health.until_up()), asyncio.create_task(stopping.wait())
    await asyncio.wait([waiting, stopped], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    stopped.cancel()
    if stopping.is_set():
        return False
    if settings.environment == "local":
        await streams.ensure(c.bus.js, replicas=settings.stream_replicas, deliveries=streams.Deliveries.of(settings))
    elif problems := await streams.problems(c.bus.js, settings):
        raise SystemExit("Clipstream refuses to start where work could be lost:\n  " + "\n  ".join(problems))
    return True


def begin(name: str, settings_class: type[S]) -> S:
    """Settings, logs and traces, before anything else."""
    settings = from_environment(settings_class)
    logs.set_up_logs(name, settings.log_level, worker=settings.worker, secrets=settings.secrets)
    tracing.set_up_traces(name, settings)
    fault_points.arm(settings.fault_points_dir)
    metrics.BUILD.labels(name, VERSION).set(1)
    log.info("starting")
    return settings


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stopping.set)
    return stopping
