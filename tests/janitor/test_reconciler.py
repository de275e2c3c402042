"""Lost messages are found and published again; what waits, or is in hand, is left alone. On real NATS and Postgres."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.domain.events import (
    ClipsRequested,
    Envelope,
    JobCancelled,
    JobFailed,
    JobReplayed,
    Priority,
    SourceReady,
    StageName,
    encode,
)
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import CLIPS, headers_of
from libs.common.runtime.background import running
from libs.common.runtime.fault_points import arm
from libs.common.runtime.stage import process
from libs.common.runtime.world import Stage
from libs.common.runtime.world import World as Runner
from services.janitor.overdue import Deadlines
from services.janitor.reconciler import mend_all, reconcile
from tests.builders import envelope, ready, requested, retried, started
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with, lane, messages, publish_long_ago, until, work_of
from tests.thorough import IS_THOROUGH

MANY = 1000 if IS_THOROUGH else 250
"""More than two pages of jobs."""
DEADLINES = Deadlines(queued=30, attempt=600, margin=60)


async def look(world: World, now: datetime | None = None, **how: int) -> int:
    return await mend_all(world.store, world.bus, DEADLINES, now or datetime.now(UTC), **how)


async def test_a_request_that_was_never_published_reaches_its_stage(world: World) -> None:
    [request] = await job_with(world, requested())
    assert await look(world) == 1
    delivery = await lane(world, StageName.RESOLVER).take(wait=2)
    assert delivery is not None
    assert delivery.body == encode(request)
    its_own = {"Nats-Msg-Id"}
    assert {name: delivery.headers[name] for name in headers_of(request) if name not in its_own}.items() <= headers_of(request).items()
    assert not delivery.is_by_hand


async def test_a_job_younger_than_its_deadline_is_left_alone(world: World) -> None:
    await job_with(world, requested(), seconds_ago=20)
    assert await look(world) == 0


async def test_an_answer_whose_publication_was_lost_reaches_the_next_stage_on_the_jobs_own_lane(world: World) -> None:
    [_, answer] = await job_with(world, requested(), ready(), priority=Priority.BULK)
    assert await look(world) == 1
    delivery = await lane(world, StageName.CLIPPER, "bulk").take(wait=2)
    assert delivery is not None
    assert delivery.body == encode(answer)


async def test_a_replay_that_was_recorded_but_not_published_is_published(world: World) -> None:
    events = await job_with(world, requested(), ready(), JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no"))
    again = envelope(JobReplayed(stage=StageName.CLIPPER, by="o", source="DLQ:9"), events[0].job_id, run=2, at=ago(120))
    await world.store.append(again, expires_at=ago(-600))
    assert await look(world) == 1
    assert [(found.run, type(found.event)) for found in await work_of(world)] == [(2, type(ready()))]


async def test_hundreds_of_jobs_that_wait_in_the_queue_are_not_published_again_but_the_lost_one_among_them_is(world: World) -> None:
    jobs = await asyncio.gather(*(job_with(world, requested()) for _ in range(MANY)))
    await asyncio.gather(*(publish_long_ago(world, job[0]) for job in jobs))
    began = asyncio.get_running_loop().time()
    assert await look(world) == 0
    assert asyncio.get_running_loop().time() - began < 10
    [lost] = await job_with(world, requested())
    assert await look(world) == 1
    waiting = await messages(world.bus, CLIPS)
    assert len(waiting) == MANY + 1
    assert waiting[-1].headers["Clip-Job-Id"] == str(lost.job_id)


async def test_a_message_in_hand_is_left_to_nats_however_long_its_worker_is_silent(world: World) -> None:
    [request, *_] = await job_with(world, requested(), started(StageName.RESOLVER), seconds_ago=3600)
    await publish_long_ago(world, request)
    assert await lane(world, StageName.RESOLVER).take(wait=2) is not None
    assert await look(world) == 0


async def test_a_message_that_waits_for_its_next_attempt_is_left_alone(world: World) -> None:
    [request, *_] = await job_with(world, requested(), started(StageName.RESOLVER), retried(StageName.RESOLVER), seconds_ago=3600)
    await publish_long_ago(world, request)
    delivery = await lane(world, StageName.RESOLVER).take(wait=2)
    assert delivery is not None
    await delivery.nak(60)
    assert await look(world) == 0


async def test_a_body_that_the_operator_published_by_hand_counts_as_the_jobs_message(world: World) -> None:
    for priority in Priority:
        [request] = await job_with(world, requested(), priority=priority)
        await world.bus.js.publish("clips.requested", encode(request))
    assert await look(world) == 0
    assert len(await messages(world.bus, CLIPS)) == len(Priority)


async def test_a_message_for_another_stage_is_not_the_one_that_the_job_waits_for(world: World) -> None:
    history = await job_with(world, requested(), ready(), priority=Priority.BULK)
    await world.bus.js.publish("clips.requested", encode(history[0]))
    assert await look(world) == 1


async def test_a_running_attempt_that_lost_its_message_has_its_time_and_is_then_begun_again(world: World) -> None:
    await job_with(world, requested(), started(StageName.RESOLVER), seconds_ago=600)
    assert await look(world) == 0
    await job_with(world, requested(), started(StageName.RESOLVER), seconds_ago=700)
    assert await look(world) == 1


async def test_asking_twice_puts_one_message_into_the_queue(world: World) -> None:
    await job_with(world, requested())
    assert [await look(world), await look(world)] == [1, 0]
    assert len(await work_of(world)) == 1


async def test_two_janitors_that_look_at_the_same_silence_make_one_message(world: World) -> None:
    jobs = [(await job_with(world, requested()))[0].job_id for _ in range(20)]
    now = datetime.now(UTC)
    assert sum(await asyncio.gather(*(look(world, now) for _ in range(3)))) == 20
    assert sorted(found.job_id for found in await work_of(world)) == sorted(jobs)


async def test_a_message_that_is_lost_again_and_again_comes_back_with_each_deadline(world: World) -> None:
    await job_with(world, requested())
    now = datetime.now(UTC)
    for lost in range(3):
        at = now + lost * DEADLINES.least
        assert await look(world, at) == 1
        await world.bus.js.purge_stream(CLIPS)
        assert await look(world, at) == 0
        assert await work_of(world) == []


async def test_a_message_that_is_lost_right_after_its_publication_costs_one_period_and_not_the_duplicate_window(world: World) -> None:
    settings = msgspec.structs.replace(world.settings, reconcile_every_sec=1, reconcile_queued_sec=1, reconcile_margin_sec=1)
    async with running(reconcile(settings, world.c)):
        [request] = await job_with(world, requested(), seconds_ago=0)
        await world.bus.publish(request)
        await world.bus.js.purge_stream(CLIPS)
        began = asyncio.get_running_loop().time()
        delivery = await lane(world, StageName.RESOLVER).take(wait=10)
        assert delivery is not None
        assert asyncio.get_running_loop().time() - began < 3
        runner = Runner(store=world.store, bus=world.bus, objects=world.objects, health=world.c.health, settings=world.settings)
        await process(Stage(name=StageName.RESOLVER, consumes=ClipsRequested, handle=answer_at_once), runner, delivery)
        assert (await job_of(world, request.job_id)).source == ready()


async def answer_at_once(_event: ClipsRequested, _context: Any) -> SourceReady:
    return ready()


async def test_what_finds_no_room_in_the_queue_waits_for_the_next_look_and_every_lane_has_its_turn(world: World) -> None:
    for priority in Priority:
        for waited in range(20):
            await job_with(world, requested(), priority=priority, seconds_ago=300 - waited)
    assert await look(world, most=16) == 16
    first = await work_of(world)
    assert [sum(each.priority is priority for each in first) for priority in Priority] == [12, 2, 2]
    assert await look(world, most=16) == 0
    for each in first:  # their stage takes them
        await world.store.append(envelope(started(StageName.RESOLVER), each.job_id, at=datetime.now(UTC)))
    await world.bus.js.purge_stream(CLIPS)
    assert await look(world, most=16) == 16
    assert await look(world) == 60 - 32
    assert len({each.job_id for each in first + await work_of(world)}) == 60


async def test_a_janitor_that_dies_between_two_publications_leaves_the_rest_to_the_next_one(world: World, tmp_path: Path) -> None:
    for _ in range(3):
        await job_with(world, requested())
    (tmp_path / "janitor.reconciled").write_text(Code.INTERNAL)
    arm(tmp_path)
    try:
        with pytest.raises(Failure):
            await look(world)
        assert len(await work_of(world)) == 1
        assert await look(world) == 2
    finally:
        arm(None)
    assert len({found.job_id for found in await work_of(world)}) == len(await work_of(world)) == 3


async def test_a_job_that_is_over_is_looked_at_once_and_then_left_out(world: World) -> None:
    [request, _] = await job_with(world, requested(), JobCancelled(by="c"))
    assert await world.store.silent(ago(30), after=UUID(int=0), limit=10) == [request.job_id]
    assert await look(world) == 0
    assert await world.store.silent(ago(30), after=UUID(int=0), limit=10) == []


async def test_after_an_outage_of_nats_what_was_accepted_meanwhile_is_published_within_seconds(world: World) -> None:
    settings = msgspec.structs.replace(world.settings, reconcile_every_sec=0.2, reconcile_queued_sec=0.2)
    async with running(reconcile(settings, world.c)):
        await world.own.nats.kill()
        accepted = {(await job_with(world, requested(), seconds_ago=1))[0].job_id for _ in range(20)}
        await until(lambda: went_down(world))
        await world.own.nats.start()
        assert {found.job_id for found in await until(lambda: all_there(world, accepted), 15)} == accepted
        assert len(await work_of(world)) == 20


async def went_down(world: World) -> bool:
    return not world.bus.client.is_connected


async def all_there(world: World, accepted: set[UUID]) -> list[Envelope]:
    if not world.bus.client.is_connected:
        return []
    found = await work_of(world)
    return found if len(found) >= len(accepted) else []
