"""Several ranges in one request: a job each or one joined clip; presets; and how long jobs are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.domain.events import ClipsRequested
from libs.common.domain.values import Segment
from tests.api.conftest import Running, running
from tests.api.forms import END, TYPE, file, part
from tests.api.test_jobs import code_of, created, uploaded_key

THREE = [{"start": 1, "end": "0:03"}, {"start": "10s", "end": 12.5}, {"start": 0, "end": 1}]
VIDEO = "https://93.184.215.14/v"


async def opening(api: Running, job_id: str) -> ClipsRequested:
    (first,) = await api.to.store.history(UUID(job_id))
    assert isinstance(first.event, ClipsRequested)
    return first.event


async def asked(api: Running, **fields: Any) -> Any:
    return await api.http.post("/api/jobs", json={"sourceType": "upload", "uploadKey": await uploaded_key(api), **fields})


async def test_segments_are_a_job_each_in_one_group(api: Running) -> None:
    answer = await asked(api, segments=THREE, metadata={"show": "1"})
    body = answer.json()
    events = [await opening(api, job["id"]) for job in body["jobs"]]
    assert [(event.start, event.end) for event in events] == [(1, 3), (10, 12.5), (0, 1)]
    assert {str(event.group_id) for event in events} == {body["groupId"]}
    assert {tuple(event.metadata.items()) for event in events} == {(("show", "1"),)}
    assert body["job"] == body["jobs"][0]
    assert answer.headers["location"] == f"/api/jobs?groupId={body['groupId']}"
    listed = (await api.http.get(answer.headers["location"])).json()["jobs"]
    assert {job["id"] for job in listed} == {job["id"] for job in body["jobs"]}
    assert {job["groupId"] for job in listed} == {body["groupId"]}


async def test_joined_segments_are_one_job(api: Running) -> None:
    body = (await asked(api, segments=THREE, joined=True)).json()
    assert "jobs" not in body
    event = await opening(api, body["job"]["id"])
    assert (event.start, event.end) == (0, 12.5)
    assert event.segments == (Segment(start=1, end=3), Segment(start=10, end=12.5), Segment(start=0, end=1))
    job = (await api.http.get(f"/api/jobs/{body['job']['id']}")).json()["job"]
    assert job["segments"] == [{"start": 1.0, "end": 3.0}, {"start": 10.0, "end": 12.5}, {"start": 0.0, "end": 1.0}]


async def test_one_segment_is_a_plain_job(api: Running) -> None:
    for joined in (False, True):
        body = (await asked(api, segments=THREE[:1], joined=joined)).json()
        event = await opening(api, body["job"]["id"])
        assert ("groupId" in body, event.segments, event.group_id, event.start, event.end) == (False, (), None, 1, 3)


async def test_near_segments_of_a_url_are_fetched_together_and_far_ones_apart(environ: Any) -> None:
    async with running(environ[0], ENABLE_YTDLP="true") as (http, to):
        segments = [{"start": 10, "end": 20}, {"start": 3600, "end": 3610}, {"start": 50, "end": 60}]
        answer = await http.post("/api/jobs", json={"sourceType": "youtube", "youtubeUrl": VIDEO, "segments": segments})
        events = [(await to.store.history(UUID(job["id"])))[0].event for job in answer.json()["jobs"]]
        parts = [event.fetch for event in events if isinstance(event, ClipsRequested)]
        assert parts == [Segment(start=10, end=60), Segment(start=3600, end=3610), Segment(start=10, end=60)]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"segments": THREE, "start": 1, "end": 2}, (400, "VALIDATION_FAILED", "segments")),
        ({"segments": THREE * 4}, (400, "VALIDATION_FAILED", "segments")),
        ({"segments": [{"start": 1, "end": 3}, {"start": 5, "end": 4}]}, (400, "VALIDATION_FAILED", "segments[1].end")),
        ({"segments": [{"start": 1, "end": 3}, {"start": "x", "end": 4}]}, (400, "VALIDATION_FAILED", "segments[1].start")),
        ({"segments": [{"start": 1}]}, (400, "VALIDATION_FAILED", "segments")),
        ({"segments": [{"start": 0, "end": 70}, {"start": 0, "end": 70}], "joined": True}, (400, "CLIP_TOO_LONG", "segments")),
        ({"segments": [{"start": 0, "end": 121}]}, (400, "CLIP_TOO_LONG", "segments[0].end")),
        ({"segments": THREE, "joined": True, "accuracy": "fast"}, (400, "VALIDATION_FAILED", "accuracy")),
        ({"start": 1, "end": 3, "joined": True}, (400, "VALIDATION_FAILED", "joined")),
        ({"start": 1, "end": 3, "presets": ["480p"]}, (400, "VALIDATION_FAILED", "presets")),
        ({"start": 1, "end": 3, "presets": ["gif", "gif"]}, (400, "VALIDATION_FAILED", "presets")),
        ({"start": 1, "end": 3, "verticalFit": "pad"}, (400, "VALIDATION_FAILED", "verticalFit")),
        ({"start": 1, "end": 3, "presets": ["gif"], "audioFormat": "mp3"}, (400, "VALIDATION_FAILED", "audioFormat")),
        ({"start": 1, "end": 3, "expiresAt": "2026-01-01T00:00:00Z"}, (400, "VALIDATION_FAILED", "expiresAt")),
        ({"start": 1, "end": 3, "expiresAt": "2999-01-01T00:00:00Z"}, (400, "VALIDATION_FAILED", "expiresAt")),
        ({"start": 1, "end": 3, "expiresAt": "2026-12-01T00:00:00"}, (400, "VALIDATION_FAILED", "expiresAt")),
        ({"start": 1, "end": 3, "expiresAt": "tomorrow"}, (400, "VALIDATION_FAILED", "expiresAt")),
        ({"end": 3}, (400, "VALIDATION_FAILED", "start")),
        ({"start": 3}, (400, "VALIDATION_FAILED", "end")),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(api: Running, fields: dict[str, Any], refused: tuple[int, str, str]) -> None:
    assert code_of(await asked(api, **fields)) == refused


async def test_presets_and_their_forms_go_along(api: Running) -> None:
    body = (await asked(api, start=1, end=3, presets=["vertical", "audio"], verticalFit="blur", audioFormat="mp3")).json()
    event = await opening(api, body["job"]["id"])
    assert (event.presets, event.vertical_fit, event.audio_format) == (("vertical", "audio"), "blur", "mp3")


async def test_a_form_takes_segments_and_presets_too(api: Running) -> None:
    segments = part("segments", '[{"start": 0, "end": 1}, {"start": "0:02", "end": 4}]')
    body = segments + part("presets", "720p, gif") + file() + END
    answer = (await api.http.post("/api/jobs/upload", content=body, headers=TYPE)).json()
    events = [await opening(api, job["id"]) for job in answer["jobs"]]
    assert [(event.start, event.end, event.presets) for event in events] == [(0, 1, ("720p", "gif")), (2, 4, ("720p", "gif"))]
    assert len({event.upload_key for event in events}) == 1


async def test_a_job_is_kept_as_long_as_it_asks_within_the_limits(api: Running) -> None:
    wanted = datetime.now(UTC) + timedelta(hours=100)
    answer = await created(api, expiresAt=wanted.isoformat())
    assert datetime.fromisoformat(answer.json()["job"]["expiresAt"]) == wanted
    assert wanted in {row["expires_at"] for row in await api.to.pool.fetch("SELECT expires_at FROM job_index")}
