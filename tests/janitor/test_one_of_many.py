"""One message that can't be dealt with holds up no other: it stays, with its advisory, for the next look."""

from pathlib import Path

import msgspec
import pytest

from libs.common.domain.events import Envelope, JobCancelled, StageName, encode
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ
from libs.common.runtime.fault_points import arm
from libs.common.runtime.jetstream import StreamFull
from services.janitor.advisories import Rescue, one_of_many
from services.janitor.last_net import put_back_headers
from tests.builders import ready, requested, retried, started
from tests.janitor.conftest import World
from tests.janitor.steps import job_of, job_with, messages

HANDED_BACK = (started(StageName.CLIPPER), retried(StageName.CLIPPER, charged=False))


async def given_up(world: World, cause: Envelope, *, put_back: int) -> None:
    """The message, and the advisory as the server would write it."""
    stored = await world.bus.js.publish("source.ready", encode(cause), headers=put_back_headers(cause, put_back))
    told = {"type": "io.nats.jetstream.advisory.v1.max_deliver", "consumer": "clipper", "stream_seq": stored.seq, "deliveries": 2}
    await world.bus.js.publish("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CLIPS.clipper", msgspec.json.encode(told))


async def poison(world: World) -> Envelope:
    history = await job_with(world, requested(), ready(), started(StageName.CLIPPER))
    await given_up(world, history[1], put_back=0)
    return history[1]


async def cancelled(world: World) -> Envelope:
    history = await job_with(world, requested(), ready(), JobCancelled(by="c"))
    await given_up(world, history[1], put_back=0)
    return history[1]


async def sequences(world: World, stream: str) -> list[int]:
    return [message.sequence for message in await messages(world.bus, stream)]


async def test_a_failure_that_is_no_outage_leaves_its_own_message_and_no_other(world: World, tmp_path: Path) -> None:
    bad, good = await poison(world), await poison(world)
    (tmp_path / f"janitor.rescue_buried@{bad.job_id}").write_text(Code.INTERNAL)
    arm(tmp_path)
    try:
        await Rescue(world.store, world.bus).heed_all()
    finally:
        arm(None)
    assert [(await job_of(world, each.job_id)).status for each in (bad, good)] == ["processing", "failed"]
    assert await sequences(world, CLIPS) == await sequences(world, ADVISORIES) == [1]
    await Rescue(world.store, world.bus).heed_all()
    assert (await job_of(world, bad.job_id)).status == "failed"
    assert await sequences(world, CLIPS) == await sequences(world, ADVISORIES) == []


async def test_dead_letters_that_are_full_hold_up_only_what_is_to_be_dead_lettered(world: World) -> None:
    config = (await world.bus.js.stream_info(DLQ)).config
    await world.bus.js.update_stream(config.evolve(max_bytes=1))
    bad = await poison(world)
    await cancelled(world)
    await Rescue(world.store, world.bus).heed_all()
    assert (await job_of(world, bad.job_id)).status == "processing"
    assert await sequences(world, CLIPS) == await sequences(world, ADVISORIES) == [1]
    await world.bus.js.update_stream(config)
    await Rescue(world.store, world.bus).heed_all()
    assert (await job_of(world, bad.job_id)).status == "failed"
    assert len(await messages(world.bus, DLQ)) == 1


async def test_what_is_handed_back_for_ever_ends_after_three_put_backs(world: World) -> None:
    history = await job_with(world, requested(), ready(), *HANDED_BACK * 8)
    await given_up(world, history[1], put_back=3)
    await Rescue(world.store, world.bus).heed_all()
    job = await job_of(world, history[1].job_id)
    assert job.failure is not None
    assert (job.failure.code, job.failure.message) == ("RETRIES_EXHAUSTED", "gave up after the work was put off 8 times and never done")
    assert len(await messages(world.bus, DLQ)) == 1
    assert await messages(world.bus, CLIPS) == []


def test_only_an_outage_ends_the_look() -> None:
    for passed_over in (StreamFull(DLQ), Failure(Code.INTERNAL, "no"), ValueError("no")):
        with one_of_many(1):
            raise passed_over
    with pytest.raises(Failure), one_of_many(1):
        raise Failure(Code.RETRYABLE_ERROR, "away", outage="postgres")
