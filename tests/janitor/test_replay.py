"""Dead letters come back through the micro service, once each, however often one asks and wherever a request was cut short."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from libs.common.domain.dead_letters import REPLAY, Replayed
from libs.common.domain.events import (
    BurnFailed,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    StageName,
)
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import DLQ
from libs.common.runtime.event_store import open_event_store
from services.janitor import replay as replay_module
from services.janitor.dead_letters import DeadLetter, Rerun
from services.janitor.dlq_service import endpoints, told
from services.janitor.letters import Letters
from services.janitor.replay import Replays
from tests.builders import envelope, ready, requested, transcribed, uploaded
from tests.janitor.conftest import World
from tests.janitor.desk import asked, described
from tests.janitor.steps import bury, dead_letter, job_of, job_with, lane, letters, messages, work_of


async def only_letter(world: World) -> DeadLetter:
    [message] = await messages(world.bus, DLQ)
    return DeadLetter.read(message.sequence, message.body)


async def test_the_service_describes_itself(served: World) -> None:
    info = await described(served.bus.client)
    assert info is not None
    assert info["name"] == "dlq"
    usage = {endpoint["subject"].rpartition(".")[2]: endpoint["metadata"]["usage"] for endpoint in info["endpoints"]}
    assert list(usage) == ["list", "show", "replay", "discard"]
    assert all('{"seq":12}' in usage[verb] for verb in ("show", "replay", "discard"))


async def test_a_letter_by_its_sequence_runs_its_job_again_from_its_stage(served: World) -> None:
    cause = await dead_letter(served)
    reply = await asked(served, "replay", seq=1, by="ada")
    assert reply == {"replayed": [{"seq": 1, "jobId": str(cause.job_id), "stage": "clipper", "run": 2}], "refused": []}
    job = await job_of(served, cause.job_id)
    assert (job.status, job.stage, job.run) == ("processing", StageName.CLIPPER, 2)
    replayed = (await served.store.history(cause.job_id))[-1].event
    assert replayed == JobReplayed(stage=StageName.CLIPPER, by="ada", source="DLQ:1")
    assert await letters(served) == []


async def test_what_is_put_back_is_delivered_although_its_first_message_is_in_the_duplicate_window(served: World) -> None:
    cause = await dead_letter(served)
    await served.bus.publish(cause)
    first = await lane(served, StageName.CLIPPER).take(wait=2)
    assert first is not None
    await first.term("failed")
    await asked(served, "replay", seq=1)
    again = await lane(served, StageName.CLIPPER).take(wait=2)
    assert again is not None
    assert b'"run":2' in again.body


async def test_all_letters_of_a_job_of_a_stage_or_of_the_stream(served: World) -> None:
    causes = [
        await dead_letter(served, stage=stage) for stage in (StageName.RESOLVER, StageName.CLIPPER, StageName.RESOLVER, StageName.CLIPPER)
    ]
    assert [found["seq"] for found in (await asked(served, "replay", jobId=str(causes[1].job_id)))["replayed"]] == [2]
    assert [found["seq"] for found in (await asked(served, "replay", stage="resolver"))["replayed"]] == [1, 3]
    assert [found["seq"] for found in (await asked(served, "replay", all=True))["replayed"]] == [4]
    assert await letters(served) == []
    assert {found.job_id for found in await work_of(served)} == {cause.job_id for cause in causes}


async def test_an_answer_that_cannot_hold_all_says_what_to_send_for_the_rest(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "AT_ONCE", 2)
    for _ in range(3):
        await dead_letter(served)
    first = await asked(served, "replay", all=True, by="ada")
    assert [found["seq"] for found in first["replayed"]] == [1, 2]
    second = await asked(served, "replay", **first["next"])
    assert [found["seq"] for found in second["replayed"]] == [3]
    assert "next" not in second


async def test_a_second_request_for_a_replayed_letter_finds_nothing(served: World) -> None:
    cause = await dead_letter(served)
    await asked(served, "replay", seq=1)
    assert await asked(served, "replay", seq=1) == {
        "replayed": [],
        "refused": [{"seq": 1, "reason": "there is no such dead letter", "isMissing": True}],
    }
    assert (await job_of(served, cause.job_id)).run == 2
    assert len(await work_of(served)) == 1


async def test_many_requests_at_once_give_one_run(world: World) -> None:
    cause = await dead_letter(world)
    letter = await only_letter(world)
    outcomes = await asyncio.gather(*(Replays(world.store, world.bus).replay(letter, f"operator {n}") for n in range(10)))
    assert Replayed(seq=1, job_id=cause.job_id, stage=StageName.CLIPPER, run=2) in outcomes
    assert (await job_of(world, cause.job_id)).run == 2
    assert [found.run for found in await work_of(world)] == [2]


async def test_a_repeated_copy_of_the_same_failure_is_refused_and_kept(served: World) -> None:
    cause = await dead_letter(served)
    await bury(served, cause, StageName.CLIPPER)
    reply = await asked(served, "replay", all=True)
    assert [found["seq"] for found in reply["replayed"]] == [1]
    assert reply["refused"] == [{"seq": 2, "reason": "its failure was replayed already: the job is processing in run 2"}]
    assert await letters(served) == [2]


async def test_two_copies_replayed_at_the_same_moment_give_one_run(world: World) -> None:
    cause = await dead_letter(world)
    await bury(world, cause, StageName.CLIPPER)
    replays = Replays(world.store, world.bus)
    both = [DeadLetter.read(message.sequence, message.body) for message in await messages(world.bus, DLQ)]
    verdicts = [await replays.judge(letter) for letter in both]
    assert all(isinstance(verdict, Rerun) for verdict in verdicts)
    recorded = [await replays.record(verdict, letter, "o") for verdict, letter in zip(verdicts, both, strict=True)]  # type: ignore[arg-type]
    assert [isinstance(verdict, Rerun) for verdict in recorded] == [True, False]
    assert (await job_of(world, cause.job_id)).run == 2


async def test_a_request_cut_short_after_the_record_is_finished_by_asking_again(served: World) -> None:
    cause = await dead_letter(served)
    replays, letter = Replays(served.store, served.bus), await only_letter(served)
    await replays.record(await rerun_of(replays, letter), letter, "ada")
    assert (await asked(served, "replay", seq=1))["replayed"][0]["run"] == 2
    assert [(found.job_id, found.run) for found in await work_of(served)] == [(cause.job_id, 2)]
    assert await letters(served) == []


async def test_a_request_cut_short_after_the_publication_is_finished_without_a_second_message(served: World) -> None:
    await dead_letter(served)
    replays, letter = Replays(served.store, served.bus), await only_letter(served)
    rerun = await rerun_of(replays, letter)
    await replays.record(rerun, letter, "ada")
    await served.bus.publish(rerun.cause)
    assert (await asked(served, "replay", seq=1))["replayed"][0]["run"] == 2
    assert len(await work_of(served)) == 1
    assert await letters(served) == []


async def test_a_run_that_has_answered_meanwhile_is_not_started_again_by_asking_again(served: World) -> None:
    cause = await dead_letter(served)
    replays, letter = Replays(served.store, served.bus), await only_letter(served)
    await replays.record(await rerun_of(replays, letter), letter, "ada")
    await served.store.append(envelope(uploaded(), cause.job_id, run=2, at=datetime.now(UTC)))
    await asked(served, "replay", seq=1)
    assert await work_of(served) == []
    assert await letters(served) == []


async def rerun_of(replays: Replays, letter: DeadLetter) -> Rerun:
    verdict = await replays.judge(letter)
    assert isinstance(verdict, Rerun)
    return verdict


async def test_an_optional_stage_runs_again_though_the_job_is_done(served: World) -> None:
    events = [requested(with_subtitles=True, burn_subtitles=True, expires_at=datetime.now(UTC) + timedelta(hours=1)), ready(), uploaded()]
    history = await job_with(served, *events, transcribed(), BurnFailed(code="INTERNAL", message="no"))
    assert (await job_of(served, history[0].job_id)).status == "done"
    await bury(served, history[3], StageName.BURNER)
    assert (await asked(served, "replay", seq=1))["replayed"][0]["stage"] == "burner"
    assert (await job_of(served, history[0].job_id)).status == "processing"


async def test_what_cannot_run_again_is_kept_with_a_reason(served: World) -> None:
    [running] = await job_with(served, requested())
    [cancelled, _] = await job_with(served, requested(), JobCancelled(by="c"))
    [expired, _] = await job_with(served, requested(), JobExpired())
    unknown = envelope(ready(), uuid4())
    for cause, stage in (
        (running, StageName.RESOLVER),
        (cancelled, StageName.RESOLVER),
        (expired, StageName.RESOLVER),
        (unknown, StageName.CLIPPER),
    ):
        await bury(served, cause, stage)
    await served.bus.js.publish("dlq.source.ready", b"{broken")
    reasons = {found["seq"]: found["reason"] for found in (await asked(served, "replay", all=True))["refused"]}
    assert [reasons[n] for n in (1, 2, 3)] == [
        f"the job has not failed at resolver: it is {how}" for how in ("queued", "cancelled", "expired")
    ]
    assert reasons[4] == "its job is unknown or has expired"
    assert reasons[5].startswith("its body can't be read: ")
    assert await letters(served) == [1, 2, 3, 4, 5]
    assert await work_of(served) == []


BAD_REQUESTS = {
    b"": "send one of",
    b"12": "Expected `object`",
    b"{}": "exactly one of",
    b'{"seq":1,"all":true}': "exactly one of",
    b'{"seq":0}': "Expected `int` >= 1",
    b'{"stage":"clip"}': "Invalid enum value 'clip'",
    b'{"sequence":1}': "unknown field `sequence`",
}


async def test_a_bad_request_is_answered_with_what_to_send(served: World) -> None:
    for body, says in BAD_REQUESTS.items():
        reply = await served.bus.client.request(REPLAY, body, timeout=5)
        assert reply.headers is not None, body
        assert reply.headers["Nats-Service-Error-Code"] == "400"
        assert says in reply.headers["Nats-Service-Error"]
        assert '{"seq":12}' in reply.headers["Nats-Service-Error"]


async def test_a_request_during_an_outage_of_postgres_is_told_to_come_again(world: World) -> None:
    await dead_letter(world)
    nowhere = "postgresql://nobody:secret@127.0.0.1:1/none"
    async with open_event_store(nowhere) as store:
        with pytest.raises(Failure) as refused:
            await endpoints(Letters(store, world.bus))[REPLAY](b'{"seq":1}')
    assert refused.value.retryable
    assert "send the same request again" in told(refused.value).message
    assert await letters(world) == [1]


async def test_a_letter_whose_job_fails_again_can_be_replayed_again(served: World) -> None:
    cause = await dead_letter(served, code=Code.INTERNAL)
    await asked(served, "replay", seq=1)
    [again] = await work_of(served)
    failed = JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no")
    await served.store.append(envelope(failed, cause.job_id, run=2, at=datetime.now(UTC)))
    await bury(served, again, StageName.CLIPPER)
    assert (await asked(served, "replay", all=True))["replayed"][0]["run"] == 3
    assert (await job_of(served, cause.job_id)).replays == {"DLQ:1": 2, "DLQ:2": 3}
