"""Lost messages are found and published again; what waits, or is in hand, is left alone. On real NATS and Postgres."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.domain.events import Envelope, JobCancelled, JobFailed, JobReplayed, Priority, StageName, encode
from libs.common.domain.subjects import CLIPS, headers_of
from services.janitor.overdue import Deadlines
from services.janitor.reconciler import mend_all, reconcile
from tests.builders import envelope, ready, requested, retried, started
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_with, lane, messages, publish_long_ago, until, work_of

DEADLINES = Deadlines(queued=30, attempt=600, margin=60)


async def look(world: World) -> int:
    return await mend_all(world.store, world.bus, DEADLINES, datetime.now(UTC))


async def test_a_request_that_was_never_published_reaches_its_stage(world: World) -> None:
    [request] = await job_with(world, requested())
    assert await look(world) == 1
    delivery = await lane(world, StageName.RESOLVER).take(wait=2)
    assert delivery is not None
    assert delivery.body == encode(request)
    assert headers_of(request).items() <= delivery.headers.items()


async def test_a_job_younger_than_its_deadline_is_left_alone(world: World) -> None:
    await job_with(world, requested(), seconds_ago=20)
    assert await look(world) == 0


async def test_an_answer_whose_publication_was_lost_reaches_the_next_stage_on_the_jobs_own_lane(world: World) -> None:
    [_, answer] = await job_with(world, requested(), ready(), priority=Priority.BULK)
    assert await look(world) == 1
    delivery = await lane(world, StageName.CLIPPER, "bulk").take(wait=2)
    assert delivery is not None
    assert delivery.headers["Nats-Msg-Id"] == headers_of(answer)["Nats-Msg-Id"]


async def test_a_replay_that_was_recorded_but_not_published_is_published(world: World) -> None:
    events = await job_with(world, requested(), ready(), JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no"))
    again = envelope(JobReplayed(stage=StageName.CLIPPER, by="o", source="DLQ:9"), events[0].job_id, run=2, at=ago(120))
    await world.store.append(again, expires_at=ago(-600))
    assert await look(world) == 1
    assert [(found.run, type(found.event)) for found in await work_of(world)] == [(2, type(ready()))]


async def test_a_thousand_jobs_that_wait_in_the_queue_are_not_published_again_but_the_lost_one_among_them_is(world: World) -> None:
    jobs = await asyncio.gather(*(job_with(world, requested()) for _ in range(1000)))
    await asyncio.gather(*(publish_long_ago(world, job[0]) for job in jobs))
    began = asyncio.get_running_loop().time()
    assert await look(world) == 0
    assert asyncio.get_running_loop().time() - began < 10
    [lost] = await job_with(world, requested())
    assert await look(world) == 1
    waiting = await messages(world.bus, CLIPS)
    assert len(waiting) == 1001
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
    [request] = await job_with(world, requested())
    await world.bus.js.publish("clips.requested", encode(request))
    assert await look(world) == 0


async def test_a_running_attempt_that_lost_its_message_has_its_time_and_is_then_begun_again(world: World) -> None:
    await job_with(world, requested(), started(StageName.RESOLVER), seconds_ago=600)
    assert await look(world) == 0
    await job_with(world, requested(), started(StageName.RESOLVER), seconds_ago=700)
    assert await look(world) == 1


async def test_asking_twice_puts_one_message_into_the_queue(world: World) -> None:
    await job_with(world, requested())
    assert [await look(world), await look(world)] == [1, 0]
    assert len(await work_of(world)) == 1


async def test_a_job_that_is_over_is_looked_at_once_and_then_left_out(world: World) -> None:
    [request, _] = await job_with(world, requested(), JobCancelled(by="c"))
    assert await world.store.silent(ago(30), after=UUID(int=0), limit=10) == [request.job_id]
    assert await look(world) == 0
    assert await world.store.silent(ago(30), after=UUID(int=0), limit=10) == []


async def test_after_an_outage_of_nats_what_was_accepted_meanwhile_is_published_within_seconds(world: World) -> None:
    settings = msgspec.structs.replace(world.settings, reconcile_every_sec=0.2, reconcile_queued_sec=0.2)
    task = asyncio.create_task(reconcile(settings, world.c))
    try:
        await world.own.nats.kill()
        accepted = {(await job_with(world, requested(), seconds_ago=1))[0].job_id for _ in range(20)}
        await until(lambda: went_down(world))
        await world.own.nats.start()
        assert {found.job_id for found in await until(lambda: all_there(world, accepted), 15)} == accepted
        assert len(await work_of(world)) == 20
    finally:
        task.cancel()


async def went_down(world: World) -> bool:
    return not world.bus.client.is_connected


async def all_there(world: World, accepted: set[UUID]) -> list[Envelope]:
    if not world.bus.client.is_connected:
        return []
    found = await work_of(world)
    return found if len(found) >= len(accepted) else []
