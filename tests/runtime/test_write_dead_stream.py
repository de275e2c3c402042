"""One write error, and a stream takes nothing more until its server starts again, though it answers everything else. Then all is exact."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from libs.common.domain.events import ClipBurned, ClipsRequested, Envelope
from libs.common.domain.failures import Failure
from libs.common.domain.job import fold
from libs.common.runtime import streams
from libs.common.runtime.background import running
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.nats_monitors import be_well
from libs.common.runtime.pull import run_stage
from services.api.intake import Intake
from tests.builders import envelope, requested
from tests.fakes import MemoryEventStore, MemoryOpening
from tests.runtime.nats_cluster import NatsCluster, nats_cluster
from tests.runtime.own_nats import connected_bus
from tests.runtime.test_pull import Desk, every_lane

SOON = 30.0
"""Seconds in which readiness must tell (findings B8, row 14)."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with nats_cluster(tmp_path / "nats", sync=("always",)) as server:
        yield server


@pytest.fixture
async def bus(server: NatsCluster) -> AsyncIterator[JetStreamBus]:
    async with connected_bus(server.url) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield bus


async def break_writing(server: NatsCluster, bus: JetStreamBus) -> None:
    """No file of the server may grow beyond its largest: what is published past that meets EFBIG, as it would a full disk."""
    [node] = server.nodes
    largest = max(file.stat().st_size for file in node.program.folder.rglob("*") if file.is_file())
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    with pytest.raises(TimeoutError):
        for _ in range(10):
            await bus.js.publish("clips.requested.bulk", b"x" * (largest // 5), timeout=0.5)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def restart(server: NatsCluster) -> None:
    [node] = server.nodes
    await node.restart()
    await server.settled()


async def until(health: Health, *, up: bool) -> float:
    """Seconds until the readiness says so."""
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON):
        while health.is_up is not up:
            await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time() - began


async def test_the_monitor_tells_of_it_before_anybody_publishes(server: NatsCluster, bus: JetStreamBus) -> None:
    async def ping() -> None:
        await bus.ping()
        await be_well(server.monitors)

    health = Health({"nats": ping}, every=1.0)
    async with running(health.watch()):
        await until(health, up=True)
        await break_writing(server, bus)
        await until(health, up=False)
        await bus.ping()  # by itself it can't tell
        await restart(server)
        await until(health, up=True)


async def test_without_a_monitor_the_first_publish_tells_of_it_and_is_the_probe_until_it_is_stored(
    server: NatsCluster, bus: JetStreamBus
) -> None:
    health = Health({"nats": bus.ping}, every=1.0)
    await break_writing(server, bus)
    assert await health.check_all()
    with pytest.raises(Failure):
        await bus.send("source.ready", b"work", {"Nats-Msg-Id": "one"}, stream="CLIPS")
    assert not await health.check_all()
    assert not await health.check_all()
    before = (await bus.js.stream_info("CLIPS")).state.messages
    await restart(server)
    async with asyncio.timeout(SOON):
        await health.until_up()
    assert (await bus.js.stream_info("CLIPS")).state.messages == before + 1
    assert await bus.send("source.ready", b"work", {"Nats-Msg-Id": "one"}, stream="CLIPS") is True, "the probe was the message itself"


async def test_intake_goes_on_and_after_the_servers_restart_every_job_is_done_once(
    server: NatsCluster, bus: JetStreamBus, tmp_path: Path
) -> None:
    desk = Desk(bus, tmp_path, places=2)
    running = asyncio.create_task(run_stage(desk.stage, desk.world, every_lane(bus), desk.stopping))
    for n in range(5):
        await desk.submit(f"{n}")
    await break_writing(server, bus)
    intake = Intake(MemoryOpening(desk.store), bus)
    job = envelope(requested(), uuid4())
    await intake.take([job], 0)
    assert job in desk.store.rows
    await intake.settled()
    assert not await desk.world.health.check_all()
    await restart(server)
    async with asyncio.timeout(SOON):
        await desk.world.health.until_up()
    assert (await bus.js.get_last_msg("CLIPS", "clips.requested")).headers["Clip-Job-Id"] == str(job.job_id)  # type: ignore[index]
    await finished(desk, jobs=5)
    await desk.stop(running)


async def finished(desk: Desk, jobs: int) -> None:
    async with asyncio.timeout(SOON):
        while sum(isinstance(row.event, ClipBurned) for row in desk.store.rows) < jobs:
            await asyncio.sleep(0.05)
    assert [fold(history).status for history in histories(desk.store)] == ["done"] * jobs
    assert sum(isinstance(row.event, ClipBurned) for row in desk.store.rows) == jobs


def histories(store: MemoryEventStore) -> list[list[Envelope]]:
    """Of the desk's own jobs; that of the intake has got no further."""
    jobs = {row.job_id for row in store.rows if not isinstance(row.event, ClipsRequested)}
    return [[row for row in store.rows if row.job_id == job] for job in jobs]
