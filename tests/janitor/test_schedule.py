"""One janitor at a time, whoever dies; the queues are measured."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.common.domain.events import Priority, StageName
from libs.common.runtime.event_store import open_event_store
from services.janitor.queues import measure
from services.janitor.schedule import alone
from tests.builders import ready, requested
from tests.janitor.conftest import World
from tests.janitor.steps import dead_letter, job_with, lane, until

HOLDER = """
import asyncio, sys
from libs.common.domain.failures import Failure
from libs.common.runtime.event_store import open_event_store
async def hold():
    async with open_event_store(sys.argv[1], lease_seconds=1) as store, store.lease("tests") as ours:
        print(ours, flush=True)
        await asyncio.sleep(60)
try:
    asyncio.run(hold())
except Failure as failure:
    print(failure.message, flush=True)
"""


async def test_a_lease_has_one_holder_for_each_name(servers: dict[str, str]) -> None:
    async with open_event_store(servers["DATABASE_URL"]) as one, open_event_store(servers["DATABASE_URL"]) as other:
        async with one.lease("a") as first, one.lease("a") as again, other.lease("a") as second, other.lease("b") as elsewhere:
            assert (first, again, second, elsewhere) == (True, False, False, True)
        async with other.lease("a") as later:
            assert later


async def test_a_sweep_that_breaks_gives_its_lease_back(servers: dict[str, str]) -> None:
    async def break_down() -> None:
        raise RuntimeError

    async with open_event_store(servers["DATABASE_URL"]) as one, open_event_store(servers["DATABASE_URL"]) as other:
        with pytest.raises(RuntimeError):
            await alone(one, "c", break_down)()
        async with other.lease("c") as free:
            assert free


async def test_a_sweep_is_left_out_while_another_janitor_is_at_it(servers: dict[str, str]) -> None:
    swept: list[str] = []

    async def sweep() -> None:
        swept.append("swept")

    async with open_event_store(servers["DATABASE_URL"]) as one, open_event_store(servers["DATABASE_URL"]) as other:
        async with other.lease("d"):
            await alone(one, "d", sweep, patience=0)()
        assert swept == []
        await alone(one, "d", sweep)()
        assert swept == ["swept"]


async def test_a_janitor_s_first_sweep_waits_for_the_lease_of_the_dead_one_that_it_replaces(servers: dict[str, str]) -> None:
    swept = asyncio.Event()

    async def sweep() -> None:
        swept.set()

    async with open_event_store(servers["DATABASE_URL"], lease_seconds=1) as store, holder(servers["DATABASE_URL"]) as dead:
        dead.kill()
        await alone(store, "tests", sweep, patience=1.1)()
        assert swept.is_set()


@asynccontextmanager
async def holder(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that holds the lease, a second long, and renews it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await heard(process) == b"True\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def heard(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return await process.stdout.readline()


@pytest.mark.parametrize("silenced", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_a_janitor_takes_over_from_one_that_is_silent(servers: dict[str, str], silenced: signal.Signals) -> None:
    swept = asyncio.Event()

    async def sweep() -> None:
        swept.set()

    async with open_event_store(servers["DATABASE_URL"], lease_seconds=1) as store, holder(servers["DATABASE_URL"]) as other:

        async def is_swept() -> bool:
            await alone(store, "tests", sweep, patience=0)()
            return swept.is_set()

        assert not await is_swept()
        other.send_signal(silenced)
        assert await until(is_swept)
        if silenced is signal.SIGSTOP:
            other.send_signal(signal.SIGCONT)
            assert b"lease was lost" in await heard(other)


async def test_a_sweep_is_measured_whether_it_comes_to_its_end_or_not(servers: dict[str, str]) -> None:
    async def fail() -> None:
        raise RuntimeError

    async def succeed() -> None:
        return None

    async with open_event_store(servers["DATABASE_URL"]) as store:
        before = [measures(name) for name in ("count", "failures")]
        with pytest.raises(RuntimeError):
            await alone(store, "a test", fail)()
        assert REGISTRY.get_sample_value("clip_cleanup_last_success_timestamp_seconds", {"sweep": "a_test"}) == 0
        await alone(store, "a test", succeed)()
        async with store.lease("a test"):
            await alone(store, "a test", succeed, patience=0)()
    assert [measures(name) for name in ("count", "failures")] == [before[0] + 1, before[1] + 1]
    assert time.time() - measures("success") < 60


def measures(name: str) -> float:
    names = {
        "count": "clip_cleanup_seconds_count",
        "failures": "clip_cleanup_failures_total",
        "success": "clip_cleanup_last_success_timestamp_seconds",
    }
    return REGISTRY.get_sample_value(names[name], {"sweep": "a_test"}) or 0


async def test_the_queues_are_measured_by_stage_and_lane(world: World) -> None:
    for priority in (Priority.NORMAL, Priority.NORMAL, Priority.BULK):
        [_, cause] = await job_with(world, requested(), ready(), priority=priority)
        await world.bus.publish(cause)
    assert await lane(world, StageName.CLIPPER).take(wait=2) is not None
    await dead_letter(world)
    await measure(world.bus, datetime.now(UTC))
    assert (value("clip_queue_pending", "clipper", "normal"), value("clip_queue_ack_pending", "clipper", "normal")) == (1, 1)
    assert (value("clip_queue_pending", "clipper", "bulk"), value("clip_queue_ack_pending", "clipper", "bulk")) == (1, 0)
    assert 0 < value("clip_queue_oldest_seconds", "clipper", "normal") < 30
    assert value("clip_queue_oldest_seconds", "resolver", "normal") == 0
    assert REGISTRY.get_sample_value("clip_dead_letters_waiting") == 1


def value(name: str, stage: str, lane: str) -> Any:
    return REGISTRY.get_sample_value(name, {"stage": stage, "lane": lane})
