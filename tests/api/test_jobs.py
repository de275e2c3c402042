"""Jobs over HTTP: made from an upload, read at every point of their life, and their results fetched."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import (
    AsrFailed,
    ClipsRequested,
    JobCancelled,
    JobExpired,
    JobFailed,
    Priority,
    StageName,
    StageProgress,
    decode,
)
from libs.common.domain.failures import HINTS, Code
from libs.common.domain.values import Notice
from services.api.problems import STATUS
from tests.api.conftest import Running, running
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded
from tests.uploading import whole_upload

NOBODY = UUID("6e2b8a52-6c1c-4b0e-9c0b-6a3f6f0d9a11")
"""No job's id."""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DONE = (requested(), started(StageName.RESOLVER), ready(), started(StageName.CLIPPER), uploaded())
FULL = (requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), burned())


async def uploaded_key(api: Running, content: bytes = b"moving pictures") -> str:
    return await whole_upload(api.to, content)


async def created(api: Running, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"sourceType": "upload", "uploadKey": await uploaded_key(api), "start": 1, "end": "0:03.250", **fields}
    return await api.http.post("/api/jobs", json=body, headers=headers)


def code_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["details"].get("field")


async def test_a_new_job_is_answered_with_where_to_look(api: Running) -> None:
    answer = await created(api, metadata={"show": "42"})
    job = answer.json()["job"]
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert answer.json()["correlationId"] == answer.headers["x-correlation-id"]
    assert (job["status"], job["progress"]) == ("queued", 0)
    kept = datetime.fromisoformat(job["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=71.9) < kept <= timedelta(hours=72)


async def test_a_new_job_is_an_event_and_then_a_message(api: Running) -> None:
    """Its headers and the client's own ids are those of the request."""
    messages = await api.to.bus.client.subscribe("clips.requested.bulk")
    answer = await created(api, priority="bulk", headers={"x-request-id": "mine-1", "traceparent": TRACE})
    job_id = UUID(answer.json()["job"]["id"])
    message = await messages.next_msg(timeout=5)
    (stored,) = await api.to.store.history(job_id)
    assert decode(message.data) == stored
    assert (stored.id, stored.correlation_id, stored.traceparent) == (request_id(job_id), "mine-1", TRACE)
    assert stored.priority is Priority.BULK
    assert isinstance(stored.event, ClipsRequested)
    assert (stored.event.start, stored.event.end) == (1.0, 3.25)
    wire = ("Clip-Job-Id", "Clip-Correlation-Id", "traceparent", "Nats-Msg-Id")
    assert [(message.headers or {})[name] for name in wire] == [str(job_id), "mine-1", TRACE, f"{job_id}:clips.requested:1"]


async def test_a_job_can_be_read_at_once(api: Running) -> None:
    location = (await created(api, metadata={"show": "42"}, priority="fast", accuracy="fast")).headers["location"]
    answer = await api.http.get(location)
    job = answer.json()["job"]
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert {
        name: job[name] for name in ("status", "stage", "progress", "attempts", "priority", "accuracy", "metadata", "start", "end")
    } == {
        "status": "queued",
        "stage": "queued",
        "progress": 0,
        "attempts": 0,
        "priority": "fast",
        "accuracy": "fast",
        "metadata": {"show": "42"},
        "start": 1.0,
        "end": 3.25,
    }
    assert None not in job.values()
    assert [event["type"] for event in answer.json()["events"]] == ["clips.requested"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"start": -1}, (400, "VALIDATION_FAILED", "start")),
        ({"end": 500}, (400, "CLIP_TOO_LONG", "end")),
        ({"colour": "red"}, (400, "VALIDATION_FAILED", "colour")),
        ({"sourceType": "youtube", "youtubeUrl": "https://youtu.be/x"}, (403, "YTDLP_DISABLED", "sourceType")),
        ({"uploadKey": f"uploads/{uuid4()}/nothing.mp4"}, (400, "VALIDATION_FAILED", "uploadKey")),
        ({"metadata": {"a": "x" * 70_000}}, (413, "INPUT_TOO_LARGE", None)),
    ],
)
async def test_a_request_that_can_not_be_met_is_refused(
    api: Running, fields: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    answer = await created(api, **fields)
    assert code_of(answer) == expected
    assert answer.json()["error"]["details"]["hint"]


async def test_an_upload_over_the_limit_is_refused(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.requests.MIB", 0)  # every upload is larger than 300 times nothing
    assert code_of(await created(api)) == (413, "INPUT_TOO_LARGE", "uploadKey")


async def test_a_job_in_the_middle_of_its_life(api: Running) -> None:
    events = (requested(), started(StageName.RESOLVER), ready(), started(StageName.CLIPPER), retried(StageName.CLIPPER))
    more = (started(StageName.CLIPPER, 2), StageProgress(stage=StageName.CLIPPER, progress=0.5))
    job = (await api.http.get(f"/api/jobs/{await api.knows(*history(*events, *more))}")).json()["job"]
    assert (job["status"], job["stage"], job["attempts"]) == ("processing", "clipping", 2)
    assert 0 < job["progress"] < 100


async def test_a_finished_job_tells_all_there_is(api: Running) -> None:
    job = (await api.http.get(f"/api/jobs/{await api.knows(*history(*FULL))}")).json()["job"]
    told = {name: job[name] for name in ("status", "progress", "cutPath", "actualStart", "actualEnd")}
    assert told == {"status": "done", "progress": 100, "cutPath": "copy", "actualStart": 1.0, "actualEnd": 3.0}
    keys = [job[name] for name in ("resultVideoKey", "resultVideoBurnedKey", "resultSrtKey")]
    assert keys == ["results/j/clip.mp4", "results/j/clip.subbed.mp4", "results/j/clip.srt"]
    asked = {name: job[name] for name in ("subtitleLang", "subtitleTask", "subtitleStyle", "subtitlesEdited")}
    assert asked == {"subtitleLang": "auto", "subtitleTask": "transcribe", "subtitleStyle": "default", "subtitlesEdited": False}
    assert not {"resultVttKey", "resultTextKey", "resultJsonKey", "subtitlePrompt"} & set(job)  # of a job that is older than they are


async def test_a_job_names_all_its_subtitles_and_what_was_asked_of_them(api: Running) -> None:
    asked = requested(with_subtitles=True, subtitle_task="translate", subtitle_style="boxed", subtitle_prompt="Ada")
    made = transcribed(vtt_key="results/j/clip.vtt", text_key="results/j/clip.txt", json_key="results/j/clip.json")
    job = (await api.http.get(f"/api/jobs/{await api.knows(*history(asked, ready(), uploaded(), made))}")).json()["job"]
    assert [job[f"result{name}Key"] for name in ("Srt", "Vtt", "Text", "Json")] == [
        f"results/j/clip.{extension}" for extension in ("srt", "vtt", "txt", "json")
    ]
    assert (job["subtitleTask"], job["subtitleStyle"], job["subtitlePrompt"]) == ("translate", "boxed", "Ada")


async def test_what_the_burn_in_wants_the_client_to_know_is_a_warning(api: Running) -> None:
    missing = burned(warnings=(Notice("MISSING_GLYPHS", "Some characters can't be drawn."),))
    job = (await api.http.get(f"/api/jobs/{await api.knows(*history(*FULL[:4], missing))}")).json()["job"]
    assert job["warnings"] == [{"code": "MISSING_GLYPHS", "message": "Some characters can't be drawn."}]


async def test_the_model_is_the_one_that_is_set(api: Running) -> None:
    """The local stack's knows English alone; Groq's default knows a hundred languages, and can't translate."""
    assert code_of(await created(api, withSubtitles=True, subtitleLang="de")) == (400, "VALIDATION_FAILED", "subtitleLang")
    async with running(api.environ, ASR_PROVIDER="groq") as (http, _):
        body = {"sourceType": "upload", "uploadKey": await uploaded_key(api), "start": 1, "end": 2, "withSubtitles": True}
        assert (await http.post("/api/jobs", json={**body, "subtitleLang": "de"})).status_code == 202
        assert code_of(await http.post("/api/jobs", json={**body, "subtitleTask": "translate"})) == (
            400,
            "VALIDATION_FAILED",
            "subtitleTask",
        )


async def test_lost_subtitles_are_a_warning(api: Running) -> None:
    lost = AsrFailed(code="RETRIES_EXHAUSTED", message="the provider is away")
    job_id = await api.knows(*history(requested(with_subtitles=True), ready(), uploaded(), lost))
    job = (await api.http.get(f"/api/jobs/{job_id}")).json()["job"]
    assert job["status"] == "done"
    assert job["warnings"] == [{"code": "RETRIES_EXHAUSTED", "message": "the provider is away"}]
    assert set((await api.http.get(f"/api/jobs/{job_id}/result")).json()["result"]) == {"id", "video"}


async def test_the_last_ten_events_are_told_without_what_is_private(api: Running) -> None:
    secrets = requested(callback_url="https://hook/?token=s3cret", source_url="https://site/?token=s3cret")
    beats = [StageProgress(stage=StageName.RESOLVER, progress=n / 100) for n in range(8)]
    few = (await api.http.get(f"/api/jobs/{await api.knows(*history(secrets, started(StageName.RESOLVER)))}")).json()
    many = (await api.http.get(f"/api/jobs/{await api.knows(*history(secrets, started(StageName.RESOLVER), *beats, ready()))}")).json()
    assert "s3cret" not in str(few)
    assert "host:1" not in str(few)
    assert few["events"][1]["data"] == {"stage": "resolver", "attempt": 1}
    assert [event["type"] for event in many["events"]] == ["stage.started", *["stage.progress"] * 8, "source.ready"]


@pytest.mark.parametrize("job_id", [str(NOBODY), "upload-1", "{" + str(NOBODY) + "}", NOBODY.hex, "%00"])
@pytest.mark.parametrize("path", ["/api/jobs/{}", "/api/jobs/{}/result"])
async def test_an_unknown_job_is_not_found_whatever_its_id(api: Running, path: str, job_id: str) -> None:
    answer = await api.http.get(path.format(job_id))
    assert code_of(answer) == (404, "NOT_FOUND", None)
    assert answer.json()["error"]["message"] == "there is no such job"


async def test_an_expired_job_is_gone(api: Running) -> None:
    job_id = await api.knows(envelope(JobExpired()))
    for path in (f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/result"):
        assert code_of(await api.http.get(path)) == (410, "GONE", None)


async def test_a_result_is_signed_urls_that_give_the_files(api: Running) -> None:
    keys = {
        "video": f"results/{uuid4()}/clip.mp4",
        "burnedVideo": f"results/{uuid4()}/clip.subbed.mp4",
        "srt": f"results/{uuid4()}/clip.srt",
        "vtt": f"results/{uuid4()}/clip.vtt",
        "text": f"results/{uuid4()}/clip.txt",
        "json": f"results/{uuid4()}/clip.json",
    }
    for key in keys.values():
        await api.to.objects.results.put(key, key.encode(), "video/mp4")
    written = transcribed(srt_key=keys["srt"], vtt_key=keys["vtt"], text_key=keys["text"], json_key=keys["json"])
    made = (uploaded(video_key=keys["video"]), written, burned(video_key=keys["burnedVideo"]))
    job_id = await api.knows(*history(*FULL[:2], *made))
    answer = await api.http.get(f"/api/jobs/{job_id}/result")
    result = answer.json()["result"]
    assert answer.headers["cache-control"] == "no-store"
    assert {name: result[name]["key"] for name in keys} == keys
    async with httpx.AsyncClient() as anybody:
        fetched = [await anybody.get(result[name]["url"]) for name in keys]
    assert [file.content.decode() for file in fetched] == list(keys.values())
    named = [file.headers["content-disposition"].rpartition("UTF-8''")[2] for file in fetched]
    assert named == [f"{job_id}.{extension}" for extension in ("mp4", "subbed.mp4", "srt", "vtt", "txt", "json")]


async def test_a_result_that_is_not_there_yet_says_when_to_ask_again(api: Running) -> None:
    answer = await api.http.get(f"/api/jobs/{await api.knows(*history(requested(), started(StageName.RESOLVER)))}/result")
    assert code_of(answer) == (404, "NOT_READY", None)
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["details"]["retryable"] is True


@pytest.mark.parametrize("code", sorted(Code))
async def test_the_result_of_a_failed_job_answers_with_its_own_error(api: Running, code: Code) -> None:
    failed = JobFailed(stage=StageName.CLIPPER, code=code, message="the words of the stage")
    job_id = await api.knows(*history(requested(), ready(), failed))
    answer = await api.http.get(f"/api/jobs/{job_id}/result")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (STATUS[code], code, "the words of the stage")
    assert error["details"]["jobCorrelationId"] == "c-1"
    told = {"code": code, "message": "the words of the stage", "hint": HINTS[code]}
    assert (await api.http.get(f"/api/jobs/{job_id}")).json()["job"]["error"] == told


async def test_a_failure_that_knows_what_to_do_about_it_says_that_instead(api: Running) -> None:
    failed = JobFailed(stage=StageName.RESOLVER, code="SOURCE_FORBIDDEN", message="the site wants a sign-in", hint="Give it cookies.")
    job_id = await api.knows(*history(requested(), failed))
    assert (await api.http.get(f"/api/jobs/{job_id}")).json()["job"]["error"]["hint"] == "Give it cookies."
    assert (await api.http.get(f"/api/jobs/{job_id}/result")).json()["error"]["details"]["hint"] == "Give it cookies."


async def test_a_failure_that_a_newer_version_named_is_internal(api: Running) -> None:
    failed = JobFailed(stage=StageName.CLIPPER, code="FROM_THE_FUTURE", message="…")
    answer = await api.http.get(f"/api/jobs/{await api.knows(*history(requested(), failed))}/result")
    assert code_of(answer) == (500, "INTERNAL", None)


async def test_a_cancelled_job_has_no_result(api: Running) -> None:
    answer = await api.http.get(f"/api/jobs/{await api.knows(*history(requested(), JobCancelled(by='client')))}/result")
    assert code_of(answer) == (409, "INVALID_STATE", None)


async def test_many_jobs_at_once_are_all_taken(api: Running) -> None:
    answers = await asyncio.gather(*(created(api) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["job"]["id"] for answer in answers}) == 50
