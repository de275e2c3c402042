"""A message that its consumer gave up and whose advisory was lost still ends; what is in hand or waits is never touched. On real NATS."""

import msgspec
import pytest

from libs.common.domain.events import StageName, encode
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ
from libs.common.runtime.background import running
from services.janitor.advisories import Rescue
from services.janitor.unadvised import Unadvised, rescue_given_up
from tests.builders import ready, requested
from tests.janitor.conftest import World
from tests.janitor.steps import job_of, job_with, lane, messages, until
from tests.janitor.test_advisories import poisoned

CLIPPER = StageName.CLIPPER


@pytest.fixture
async def unadvised(world: World) -> Unadvised:
    """Of consumers that deliver twice."""
    found = await world.bus.js.consumer_info(CLIPS, "clipper")
    await world.bus.js.add_consumer(CLIPS, found.config.evolve(max_deliver=2))
    return Unadvised(Rescue(world.store, world.bus))


async def test_what_was_given_up_is_rescued_at_the_second_look_though_its_advisory_was_lost(world: World, unadvised: Unadvised) -> None:
    cause, _ = await poisoned(world, requested(), ready(), stage=CLIPPER)
    await world.bus.js.purge_stream(ADVISORIES)
    await unadvised.look()
    assert await messages(world.bus, DLQ) == []
    await unadvised.look()
    [letter] = await messages(world.bus, DLQ)
    assert (letter.body, letter.headers["Clip-Attempts"]) == (encode(cause), "2")
    assert (await job_of(world, cause.job_id)).status == "failed"
    assert await messages(world.bus, CLIPS) == []


async def test_what_its_advisory_rescued_between_the_looks_is_not_rescued_again(world: World, unadvised: Unadvised) -> None:
    await poisoned(world, requested(), ready(), stage=CLIPPER)
    await unadvised.look()
    await unadvised.rescue.heed_all()
    await unadvised.look()
    assert len(await messages(world.bus, DLQ)) == 1


async def test_a_message_that_nobody_took_yet_is_left_alone(world: World, unadvised: Unadvised) -> None:
    history = await job_with(world, requested(), ready())
    await world.bus.publish(history[1])
    await left_alone(world, unadvised)


async def test_a_message_in_hand_or_handed_back_with_a_delay_is_left_alone_at_its_last_delivery_too(
    world: World, unadvised: Unadvised
) -> None:
    history = await job_with(world, requested(), ready())
    await world.bus.publish(history[1])
    for last in (False, True):
        delivery = await lane(world, CLIPPER).take(wait=5)
        assert delivery is not None
        assert delivery.deliveries == 1 + last
        await left_alone(world, unadvised)
        await delivery.nak(60 if last else 1)
        await left_alone(world, unadvised)


async def left_alone(world: World, unadvised: Unadvised) -> None:
    for _ in range(3):
        await unadvised.look()
    assert len(await messages(world.bus, CLIPS)) == 1
    assert await messages(world.bus, DLQ) == []


async def test_what_came_after_it_and_waits_is_left_alone(world: World, unadvised: Unadvised) -> None:
    cause, _ = await poisoned(world, requested(), ready(), stage=CLIPPER)
    await world.bus.js.purge_stream(ADVISORIES)
    await unadvised.look()
    other = await job_with(world, requested(), ready())
    await world.bus.publish(other[1])
    delivery = await lane(world, CLIPPER).take(wait=2)
    assert delivery is not None
    await unadvised.look()
    assert len(await messages(world.bus, CLIPS)) == 2  # the lane is at work: what is in hand can't be told from what was given up
    await delivery.ack()
    await unadvised.look()
    await unadvised.look()
    assert await messages(world.bus, CLIPS) == []
    assert (await job_of(world, cause.job_id)).status == "failed"
    assert (await job_of(world, other[0].job_id)).status == "processing"


async def test_a_janitor_without_a_stream_of_advisories_rescues_all_the_same(world: World) -> None:
    cause, _ = await poisoned(world, requested(), ready(), stage=CLIPPER)
    await world.bus.js.delete_stream(ADVISORIES)
    settings = msgspec.structs.replace(world.settings, advisories_every_sec=0.1)
    async with running(rescue_given_up(settings, world.c)):
        await until(lambda: messages(world.bus, DLQ))
        await until(lambda: is_failed(world, cause.job_id))


async def is_failed(world: World, job_id: object) -> bool:
    return (await job_of(world, job_id)).status == "failed"  # type: ignore[arg-type]
