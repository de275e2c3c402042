"""Somebody deletes a consumer, or the work stream itself, while a stage works: what is safe to make is made again, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common.domain.events import AsrDone, ClipBurned, Priority
from libs.common.domain.failures import Failure
from libs.common.runtime import streams
from libs.common.runtime.context import Context
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.pull import run_stage
from libs.common.runtime.settings import CommonSettings, Secret
from tests.runtime.nats_cluster import NatsCluster, nats_cluster
from tests.runtime.own_nats import connected_bus
from tests.runtime.test_pull import BURNER, Desk

SOON = 10.0
"""Seconds in which it is made again (findings B8, row 20)."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with nats_cluster(tmp_path / "nats", sync=("always",)) as server:
        yield server


@pytest.fixture
async def bus(server: NatsCluster) -> AsyncIterator[JetStreamBus]:
    async with connected_bus(server.url) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield bus


def at(environment: str) -> CommonSettings:
    return CommonSettings(database_url=Secret(""), nats_url=Secret(""), environment=environment)  # type: ignore[arg-type]


class Mending(Desk):
    """A desk whose lanes are those of a service."""

    def __init__(self, bus: JetStreamBus, folder: Path, environment: str) -> None:
        super().__init__(bus, folder, places=4, handle=self.a_while)
        self.lanes = {priority: streams.lane(bus, at(environment), BURNER, priority) for priority in Priority}

    async def a_while(self, event: AsrDone, ctx: Context[Any, Any]) -> ClipBurned:
        await asyncio.sleep(0.1)
        return await self.note(event, ctx)

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(run_stage(self.stage, self.world, self.lanes, self.stopping))

    async def submitted_and_done(self, count: int) -> None:
        before = len(self.done)
        for n in range(count):
            await self.submit(f"{before + n}")
        await self.worked_on(before + count)
        await self.until(before + count)

    async def worked_on(self, count: int) -> None:
        async with asyncio.timeout(SOON):
            while len(self.done) < count:
                await asyncio.sleep(0.005)

    @property
    def answers(self) -> Counter[object]:
        return Counter(row.job_id for row in self.store.rows if isinstance(row.event, ClipBurned))


@pytest.mark.parametrize("environment", ["local", "production"])
async def test_a_deleted_consumer_is_back_within_seconds_and_no_job_is_done_twice(
    bus: JetStreamBus, tmp_path: Path, environment: str
) -> None:
    desk = Mending(bus, tmp_path, environment)
    running = desk.run()
    await desk.submitted_and_done(5)
    with capture_logs() as logs:
        began = asyncio.get_running_loop().time()
        working = asyncio.create_task(desk.submitted_and_done(20))
        await desk.worked_on(8)
        for priority in Priority:
            await bus.js.delete_consumer("CLIPS", streams.wanted_consumer(BURNER, priority).durable_name or "")
        await working
        took = asyncio.get_running_loop().time() - began
    await desk.stop(running)
    assert took < SOON
    assert sum(entry["log_level"] in {"warning", "error"} for entry in logs) < 20 * max(took, 1)
    assert sum(entry["event"] == "a consumer was deleted: it is made again" for entry in logs) >= 1
    assert await streams.broken_rules(bus.js, replicas=1) == []
    assert set(desk.answers.values()) == {1}
    assert len(desk.done) == len(desk.answers) == 25


async def test_a_consumer_that_is_there_and_wrong_is_left_to_the_operator(bus: JetStreamBus) -> None:
    wrong = (await bus.js.consumer_info("CLIPS", "burner")).config.evolve(max_deliver=7)
    await bus.js.add_consumer("CLIPS", wrong)
    await streams.restore(bus.js, at("production"), BURNER, Priority.NORMAL)
    assert (await bus.js.consumer_info("CLIPS", "burner")).config.max_deliver == 7


async def test_locally_a_deleted_work_stream_is_made_again_and_goes_on(bus: JetStreamBus, tmp_path: Path) -> None:
    desk = Mending(bus, tmp_path, "local")
    running = desk.run()
    await desk.submitted_and_done(5)
    await bus.js.delete_stream("CLIPS")
    async with asyncio.timeout(SOON):
        while await streams.broken_rules(bus.js, replicas=1):
            await asyncio.sleep(0.05)
    await desk.submitted_and_done(5)
    await desk.stop(running)
    assert set(desk.answers.values()) == {1}


async def test_in_production_a_deleted_work_stream_is_an_outage_until_the_operator_makes_it(
    server: NatsCluster, bus: JetStreamBus, tmp_path: Path
) -> None:
    async with open_bus(server.url, name="production", needs_streams=True) as strict:
        desk = Mending(strict, tmp_path, "production")
        await reachable(strict)
        running = desk.run()
        await desk.submitted_and_done(3)
        await bus.js.delete_stream("CLIPS")
        with pytest.raises(Failure, match="the stream CLIPS is missing: run python -m") as failure:
            await strict.ping()
        assert failure.value.outage == "nats"
        assert not await desk.world.health.check_all()
        assert desk.world.health.readiness == "unready"
        await streams.restore(bus.js, at("production"), BURNER, Priority.NORMAL)
        assert not await desk.world.health.check_all(), "made by itself"
        await streams.ensure(bus.js, replicas=1)
        assert await desk.world.health.check_all()
        await desk.submitted_and_done(3)
        await desk.stop(running)


async def reachable(bus: JetStreamBus) -> None:
    async with asyncio.timeout(SOON):
        while not bus.client.is_connected:
            await asyncio.sleep(0.01)
