"""Messages that were delivered too often end in the dead letters and their jobs as failed, from real advisories of a real server."""

import msgspec
import pytest

from libs.common.domain.events import Envelope, StageName, encode
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, headers_of
from libs.common.runtime.background import running
from libs.common.runtime.stored_messages import StoredMessage
from services.janitor.advisories import Rescue
from services.janitor.last_net import put_back_headers
from tests.builders import envelope, ready, requested, retried, started, uploaded
from tests.janitor.conftest import World
from tests.janitor.steps import bury, job_of, job_with, lane, messages, until


async def poison(world: World, stage: StageName, subject: str, body: bytes, headers: dict[str, str]) -> StoredMessage:
    """The advisory of a message that was delivered as often as its consumer allows, here twice, and never settled."""
    found = await world.bus.js.consumer_info(CLIPS, stage.value)
    await world.bus.js.add_consumer(CLIPS, found.config.evolve(ack_wait=0.3, max_deliver=2))
    await world.bus.js.publish(subject, body, headers=headers)
    for _ in range(2):
        assert await lane(world, stage).take(wait=5) is not None
    async with running(lane(world, stage).take(wait=3)):  # the server tells only while somebody asks for work
        [advisory] = await until(lambda: messages(world.bus, ADVISORIES))
    return advisory


async def poisoned(world: World, *events: object, stage: StageName) -> tuple[Envelope, StoredMessage]:
    history = await job_with(world, *events, started(stage))  # type: ignore[arg-type]
    cause = history[-2]
    subject = {StageName.CLIPPER: "source.ready", StageName.ASR: "clip.uploaded"}[stage]
    return cause, await poison(world, stage, subject, encode(cause), headers_of(cause))


async def test_a_message_that_killed_its_workers_is_dead_lettered_and_its_job_fails(world: World) -> None:
    cause, _ = await poisoned(world, requested(), ready(), stage=StageName.CLIPPER)
    await Rescue(world.store, world.bus).heed_all()
    [letter] = await messages(world.bus, DLQ)
    assert letter.subject == "dlq.source.ready"
    assert letter.body == encode(cause)
    told = {"Clip-Error-Code": "RETRIES_EXHAUSTED", "Clip-Stage": "clipper", "Clip-Attempts": "2", "Clip-Original-Subject": "source.ready"}
    assert told.items() <= letter.headers.items()
    job = await job_of(world, cause.job_id)
    assert job.status == "failed"
    assert job.failure is not None
    assert job.failure.message == "gave up after 2 deliveries that never ended"
    assert await messages(world.bus, CLIPS) == []
    assert await messages(world.bus, ADVISORIES) == []


async def test_an_optional_stage_that_killed_its_workers_costs_a_warning_and_not_the_clip(world: World) -> None:
    cause, _ = await poisoned(world, requested(with_subtitles=True), ready(), uploaded(), stage=StageName.ASR)
    await Rescue(world.store, world.bus).heed_all()
    job = await job_of(world, cause.job_id)
    assert job.status == "done"
    assert [warning.code for warning in job.warnings] == ["RETRIES_EXHAUSTED"]


async def test_an_advisory_heeded_twice_or_after_a_crash_comes_to_the_same(world: World) -> None:
    cause, advisory = await poisoned(world, requested(), ready(), stage=StageName.CLIPPER)
    rescue = Rescue(world.store, world.bus)
    [message] = await messages(world.bus, CLIPS)
    await rescue.copy(message, StageName.CLIPPER, Failure(Code.RETRIES_EXHAUSTED, "a crash follows"), 2)
    await rescue.heed_all()
    await rescue.heed(advisory)
    assert len(await messages(world.bus, DLQ)) == 1
    assert [type(each.event).__name__ for each in await world.store.history(cause.job_id)].count("JobFailed") == 1


async def test_a_message_whose_stage_had_answered_leaves_the_queue_without_a_letter(world: World) -> None:
    cause, _ = await poisoned(world, requested(), ready(), stage=StageName.CLIPPER)
    await world.store.append(envelope(uploaded(), cause.job_id))
    await Rescue(world.store, world.bus).heed_all()
    assert (await job_of(world, cause.job_id)).status == "done"
    assert await messages(world.bus, CLIPS) == []
    assert await messages(world.bus, DLQ) == []


async def test_a_body_that_cannot_be_read_is_dead_lettered_as_it_is(world: World) -> None:
    await poison(world, StageName.CLIPPER, "source.ready", b"{broken", {})
    await Rescue(world.store, world.bus).heed_all()
    [letter] = await messages(world.bus, DLQ)
    assert letter.body == b"{broken"
    assert letter.headers["Clip-Error-Code"] == "BAD_REQUEST"
    assert await messages(world.bus, CLIPS) == []


async def test_a_message_that_our_own_runner_ended_was_buried_by_it_and_is_only_counted(world: World) -> None:
    [request] = await job_with(world, requested())
    await world.bus.publish(request)
    delivery = await lane(world, StageName.RESOLVER).take(wait=2)
    assert delivery is not None
    await bury(world, request, StageName.RESOLVER, sequence=delivery.sequence)
    await delivery.term("SOURCE_UNREADABLE")
    [advisory] = await until(lambda: messages(world.bus, ADVISORIES))
    assert msgspec.json.decode(advisory.body)["reason"] == "SOURCE_UNREADABLE"
    await Rescue(world.store, world.bus).heed_all()
    assert len(await messages(world.bus, DLQ)) == 1
    assert (await job_of(world, request.job_id)).status == "queued"
    assert await messages(world.bus, ADVISORIES) == []


@pytest.mark.parametrize(
    "body",
    [
        b"?",
        b'{"type":"x.max_deliver","consumer":"\xff","stream_seq":1}',
        b'{"type":"x.max_deliver","consumer":"clipper","stream_seq":-1}',
        b'{"type":"x.max_deliver","consumer":"clipper","stream_seq":%d}' % 2**64,
        b'{"type":"x.max_deliver","consumer":"clipper","stream_seq":1,"deliveries":-1}',
        b'{"type":"x.max_deliver","consumer":"clipper","stream_seq":1,"z":' + b"[" * 100_000,
    ],
    ids=["no JSON", "no UTF-8", "no sequence", "beyond all sequences", "no number of deliveries", "nested too deep"],
)
async def test_an_advisory_that_cannot_be_read_does_not_hold_up_the_others(world: World, body: bytes) -> None:
    await world.bus.js.publish("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CLIPS.clipper", body)
    await world.bus.js.publish("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CLIPS.stranger", stranger())
    await Rescue(world.store, world.bus).heed_all()
    assert await messages(world.bus, ADVISORIES) == []


def stranger() -> bytes:
    told = {
        "type": "io.nats.jetstream.advisory.v1.max_deliver",
        "stream": "CLIPS",
        "consumer": "stranger",
        "stream_seq": 1,
        "deliveries": 3,
    }
    return msgspec.json.encode(told)


async def test_a_message_that_living_workers_handed_back_too_often_is_put_back_as_a_new_one(world: World) -> None:
    handed_back = (started(StageName.CLIPPER), retried(StageName.CLIPPER, charged=False))
    history = await job_with(world, requested(), ready(), *handed_back, *handed_back)
    cause = history[1]
    await poison(world, StageName.CLIPPER, "source.ready", encode(cause), headers_of(cause))
    await Rescue(world.store, world.bus).heed_all()
    [again] = await messages(world.bus, CLIPS)
    assert again.headers["Clip-Put-Back"] == "1"
    assert await messages(world.bus, DLQ) == []
    assert (await job_of(world, cause.job_id)).status == "processing"
    delivery = await lane(world, StageName.CLIPPER).take(wait=2)
    assert delivery is not None
    assert (delivery.body, delivery.is_by_hand) == (encode(cause), False)


async def test_what_was_put_back_and_killed_its_workers_then_is_dead_lettered(world: World) -> None:
    handed_back = (started(StageName.CLIPPER), retried(StageName.CLIPPER, charged=False))
    history = await job_with(world, requested(), ready(), *handed_back, *handed_back[:1])
    cause = history[1]
    await poison(world, StageName.CLIPPER, "source.ready", encode(cause), put_back_headers(cause, 1))
    await Rescue(world.store, world.bus).heed_all()
    assert (await job_of(world, cause.job_id)).status == "failed"
    assert len(await messages(world.bus, DLQ)) == 1


async def test_a_message_that_is_nested_too_deep_is_dead_lettered_and_holds_up_nothing(world: World) -> None:
    await poison(world, StageName.CLIPPER, "source.ready", b'{"a":' * 100_000, {})
    await Rescue(world.store, world.bus).heed_all()
    [letter] = await messages(world.bus, DLQ)
    assert letter.headers["Clip-Error-Message"] == "the message can't be read: nested too deep"
    assert await messages(world.bus, ADVISORIES) == []


async def test_a_text_with_a_nul_is_dead_lettered_and_costs_its_job_nothing(world: World) -> None:
    history = await job_with(world, requested(), ready())
    body = encode(msgspec.structs.replace(history[-1], correlation_id="a\0b"))
    await poison(world, StageName.CLIPPER, "source.ready", body, {})
    await Rescue(world.store, world.bus).heed_all()
    [letter] = await messages(world.bus, DLQ)
    assert letter.headers["Clip-Error-Message"] == "the message can't be read: it holds a NUL"
    assert (await job_of(world, history[0].job_id)).status == "processing"
    assert await messages(world.bus, CLIPS) == []
    assert await messages(world.bus, ADVISORIES) == []
