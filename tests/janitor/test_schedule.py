"""One janitor at a time, whoever dies; the queues are measured."""

import asyncio
import sys
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
from libs.common.runtime.event_store import open_event_store
async def hold():
    async with open_event_store(sys.argv[1]) as store, store.lease("tests") as ours:
        print(ours, flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
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
            await alone(one, "d", sweep)()
        assert swept == []
        await alone(one, "d", sweep)()
        assert swept == ["swept"]


async def test_a_holder_that_is_killed_gives_its_lease_up(servers: dict[str, str]) -> None:
    root = Path(__file__).parents[2]
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, servers["DATABASE_URL"], cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    async with open_event_store(servers["DATABASE_URL"]) as store:

        async def is_free() -> bool:
            async with store.lease("tests") as ours:
                return ours

        assert not await is_free()
        holder.kill()
        await holder.wait()
        assert await until(is_free)


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
