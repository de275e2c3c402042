"""PUT /api/jobs/{id}/subtitles on real servers: the transcript is kept, the job reopened, its message sent, whatever comes between."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.domain.edits import EditedCue, EditedTranscript, decode_edit
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import (
    AnyEvent,
    AsrFailed,
    ClipUploaded,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    StageName,
    decode,
    encode,
)
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from services.api.edits import MOST_BYTES
from services.janitor.overdue import Deadlines, overdue
from tests.api.conftest import Running
from tests.api.test_jobs import DONE, FULL, code_of
from tests.builders import burned, envelope, history, ready, requested, transcribed, uploaded

BODY: dict[str, Any] = {"cues": [{"start": 0.2, "end": 1.5, "lines": ["Hello,", "you"]}]}
KEPT = EditedTranscript("en", (EditedCue(200, 1500, ("Hello,", "you")),))
VTT = b"WEBVTT\n\n00:00.200 --> 00:01.500\nHello,\nyou\n"
SRT = b"1\r\n00:00:00,200 --> 00:00:01,500\r\nHello,\r\nyou\r\n"


async def job_with(api: Running, *events: AnyEvent) -> UUID:
    return await api.knows(*history(*(events or FULL)))


async def put(api: Running, job_id: UUID, body: Any = BODY) -> httpx.Response:
    return await api.http.put(f"/api/jobs/{job_id}/subtitles", json=body)


async def put_file(api: Running, job_id: UUID, body: bytes, media_type: str) -> httpx.Response:
    return await api.http.put(f"/api/jobs/{job_id}/subtitles", content=body, headers={"content-type": media_type})


async def finish(api: Running, job_id: UUID, run: int) -> None:
    """What the stages would answer."""
    await api.knows(*(envelope(event, job_id, run=run) for event in (transcribed(), burned())))


async def kept(api: Running, job_id: UUID) -> EditedTranscript:
    """What the asr stage will find."""
    key = fold(await api.to.store.history(job_id)).edited_key
    assert key
    return decode_edit(b"".join([chunk async for chunk in api.to.objects.results.stream(key)]))


async def replay_of(api: Running, job_id: UUID) -> JobReplayed:
    """The only one there is."""
    [found] = [event.event for event in await api.to.store.history(job_id) if isinstance(event.event, JobReplayed)]
    return found


async def test_an_edit_reopens_the_job_at_its_subtitles(api: Running) -> None:
    job_id = await job_with(api)
    messages = await api.to.bus.client.subscribe("clip.uploaded")
    answer = await put(api, job_id)
    job = answer.json()["job"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job_id}")
    assert (job["status"], job["stage"], job["subtitlesEdited"]) == ("processing", "transcribing", True)
    assert not {"resultSrtKey", "resultVideoBurnedKey"} & set(job)
    assert answer.json()["events"][-1]["type"] == "job.replayed"
    assert await kept(api, job_id) == KEPT
    message = await messages.next_msg(timeout=5)
    assert message.headers is not None
    cause = decode(message.data)
    assert (cause.job_id, cause.run, message.headers["Nats-Msg-Id"]) == (job_id, 2, f"{job_id}:clip.uploaded:2")
    assert isinstance(cause.event, ClipUploaded)


async def test_an_edited_job_is_done_again_when_its_subtitles_are_burned_in(api: Running) -> None:
    job_id = await job_with(api)
    await put(api, job_id)
    assert code_of(await api.http.get(f"/api/jobs/{job_id}/result")) == (404, "NOT_READY", None)
    await finish(api, job_id, run=2)
    job = (await api.http.get(f"/api/jobs/{job_id}")).json()["job"]
    assert (job["status"], job["progress"], job["subtitlesEdited"]) == ("done", 100, True)
    assert (await api.http.get(f"/api/jobs/{job_id}/result")).status_code == 200


@pytest.mark.parametrize(("body", "media_type"), [(VTT, "text/vtt"), (SRT, "application/x-subrip; charset=utf-8"), (VTT, "Text/VTT ;a=b")])
async def test_a_file_says_the_same_as_json(api: Running, body: bytes, media_type: str) -> None:
    job_id = await job_with(api)
    assert (await put_file(api, job_id, body, media_type)).status_code == 202
    assert await kept(api, job_id) == KEPT
    assert (await put(api, job_id)).status_code == 202  # the same transcript: no second edit
    assert fold(await api.to.store.history(job_id)).run == 2


async def test_a_body_without_a_type_is_json(api: Running) -> None:
    job_id = await job_with(api)
    answer = await api.http.put(f"/api/jobs/{job_id}/subtitles", content=b'{"cues": []}')
    assert answer.status_code == 202
    assert (await kept(api, job_id)).cues == ()


async def test_the_same_edit_twice_is_one_run_also_when_it_is_over(api: Running) -> None:
    job_id = await job_with(api)
    first, second = await put(api, job_id), await put(api, job_id)
    assert (first.status_code, second.status_code) == (202, 202)
    await finish(api, job_id, run=2)
    third = await put(api, job_id)
    assert (third.status_code, third.json()["job"]["status"]) == (202, "done")
    assert (await replay_of(api, job_id)).by == "edit"


async def test_the_same_edit_many_times_at_once_is_one_run(api: Running) -> None:
    job_id = await job_with(api)
    answers = await asyncio.gather(*(put(api, job_id) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert (await replay_of(api, job_id)).by == "edit"


async def test_of_different_edits_at_once_one_is_made_and_it_is_the_one_that_was_accepted(api: Running) -> None:
    job_id = await job_with(api)
    bodies = [{"cues": [{"start": 0, "end": 1, "text": f"number {n}"}]} for n in range(10)]
    answers = await asyncio.gather(*(put(api, job_id, body) for body in bodies))
    accepted = [n for n, answer in enumerate(answers) if answer.status_code == 202]
    assert [code_of(answer)[:2] for answer in answers if answer.status_code != 202] == [(409, "INVALID_STATE")] * 9
    assert [(await kept(api, job_id)).cues[0].lines] == [(f"number {n}",) for n in accepted]
    await replay_of(api, job_id)


async def test_an_edit_can_be_edited_and_taken_back(api: Running) -> None:
    job_id = await job_with(api)
    for run, body in ((2, BODY), (3, {"cues": []}), (4, BODY)):
        assert (await put(api, job_id, body)).status_code == 202
        await finish(api, job_id, run)
    job = fold(await api.to.store.history(job_id))
    assert (job.run, job.status) == (4, "done")
    assert await kept(api, job_id) == KEPT


async def test_an_edit_that_failed_is_tried_again(api: Running) -> None:
    job_id = await job_with(api)
    await put(api, job_id)
    await api.knows(envelope(AsrFailed(code="RETRIES_EXHAUSTED", message="gave up"), job_id, run=2))
    assert fold(await api.to.store.history(job_id)).status == "done"
    answer = await put(api, job_id)
    assert (answer.status_code, answer.json()["job"]["status"]) == (202, "processing")
    assert fold(await api.to.store.history(job_id)).run == 3


async def test_subtitles_that_had_failed_can_be_written_by_hand(api: Running) -> None:
    lost = AsrFailed(code="RETRIES_EXHAUSTED", message="away")
    job_id = await job_with(api, requested(with_subtitles=True, subtitle_lang="de"), ready(), uploaded(), lost)
    assert (await put(api, job_id)).status_code == 202
    assert (await kept(api, job_id)).language == "de"


async def test_an_edit_whose_message_was_lost_is_published_by_the_reconciler(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks `overdue` what to publish; here with no patience at all."""

    async def away(_envelope: Any) -> bool:
        raise Failure(Code.RETRYABLE_ERROR, "NATS is away", outage="nats")

    job_id = await job_with(api)
    monkeypatch.setattr(type(api.to.bus), "publish", lambda _bus, sent: away(sent))
    assert (await put(api, job_id)).status_code == 202
    stored = await api.to.store.history(job_id)
    cause = overdue(stored, stored[-1].at.replace(year=stored[-1].at.year + 1), Deadlines(queued=0, attempt=0, margin=0))
    assert cause is not None
    assert (cause.event, cause.run) == (uploaded(), 2)
    assert job_id in await api.to.store.silent(stored[-1].at.replace(year=stored[-1].at.year + 1), after=UUID(int=job_id.int - 1), limit=1)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (DONE, "the job did not ask for subtitles"),
        (FULL[:1], "the job is queued; a transcript can be put back when it is done"),
        (FULL[:4], "the job is processing; a transcript can be put back when it is done"),
        ((*FULL[:2], JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="no")), "the job is failed; a"),
        ((*FULL[:3], JobCancelled(by="client")), "the job is cancelled; a"),
    ],
)
async def test_a_job_in_another_state_is_left_alone(api: Running, events: tuple[AnyEvent, ...], message: str) -> None:
    job_id = await job_with(api, *events)
    answer = await put(api, job_id)
    assert code_of(answer) == (409, "INVALID_STATE", None)
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["details"]["retryable"] is False
    assert len(await api.to.store.history(job_id)) == len(events)


async def test_a_job_that_another_edit_reopened_since_it_was_read_is_left_alone(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = await job_with(api)
    rival = JobReplayed(stage=StageName.ASR, by="edit", source="edit:rival")
    before = await api.to.store.history(job_id)
    expires = fold(before).expires_at
    await api.to.store.append(envelope(rival, job_id, id=replay_id(job_id, 2), run=2), expires_at=expires)

    async def as_it_was(_api: Any, _request: Any, _job_id: str) -> list[Any]:
        return list(before)

    monkeypatch.setattr("services.api.edits.history_of", as_it_was)
    assert code_of(await put(api, job_id)) == (409, "INVALID_STATE", None)
    assert (await replay_of(api, job_id)) == rival


@pytest.mark.parametrize("job_id", [uuid4(), "nothing"])
async def test_an_unknown_job_is_not_found_whatever_is_sent(api: Running, job_id: Any) -> None:
    assert code_of(await put_file(api, job_id, b"{", "application/json")) == (404, "NOT_FOUND", None)


async def test_an_expired_job_is_gone(api: Running) -> None:
    assert code_of(await put(api, await api.knows(envelope(JobExpired())))) == (410, "GONE", None)


@pytest.mark.parametrize(
    ("body", "media_type", "expected", "words"),
    [
        (b"{", "application/json", (400, "BAD_REQUEST", None), "not valid JSON"),
        (b"{}", "application/json", (400, "VALIDATION_FAILED", "cues"), "cues"),
        (
            b'{"cues":[{"start":0,"end":3,"text":"a"}]}',
            "application/json",
            (400, "VALIDATION_FAILED", "cues"),
            "cues[0]: this cue lies outside",
        ),
        (b"a,b", "text/csv", (400, "BAD_REQUEST", None), "text/vtt or application/x-subrip"),
        (b"Hello", "text/vtt", (400, "VALIDATION_FAILED", None), "line 1: "),
        (SRT.replace(b"-->", b"->"), "application/x-subrip", (400, "VALIDATION_FAILED", None), "line 2: "),
        (SRT.replace(b":01,5", b":09,5"), "application/x-subrip", (400, "VALIDATION_FAILED", "cues"), "line 2: this cue lies outside"),
        (VTT.replace(b"Hello", b"\xff"), "text/vtt", (400, "BAD_REQUEST", None), "line 4: "),
        (b"x" * (MOST_BYTES + 1), "text/vtt", (413, "INPUT_TOO_LARGE", None), "too large"),
    ],
)
async def test_a_transcript_that_is_wrong_says_where(
    api: Running, body: bytes, media_type: str, expected: tuple[int, str, str | None], words: str
) -> None:
    job_id = await job_with(api)
    answer = await put_file(api, job_id, body, media_type)
    assert code_of(answer) == expected
    assert words in answer.json()["error"]["message"]
    assert len(await api.to.store.history(job_id)) == len(FULL)


async def test_the_events_of_an_edited_job_tell_no_more_than_they_should(api: Running) -> None:
    job_id = await job_with(api)
    events = (await put(api, job_id)).json()["events"]
    assert set(events[-1]["data"]) == {"stage", "by", "source", "lost"}
    [_, *rest] = await api.to.store.history(job_id)
    assert b"Hello" not in b"".join(encode(event) for event in rest)
