"""DELETE /api/jobs/{id}: what is under way ends, what is over stays, and a finished clip is never lost by it."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.domain.events import AnyEvent, JobCancelled, JobExpired, JobFailed, StageName
from libs.common.domain.job import fold
from tests.api.conftest import Running
from tests.api.test_edits import put
from tests.api.test_jobs import DONE, FULL, code_of
from tests.builders import envelope, history, ready, requested, started, uploaded


async def cancel(api: Running, job_id: UUID) -> httpx.Response:
    return await api.http.delete(f"/api/jobs/{job_id}")


async def cancellations(api: Running, job_id: UUID) -> int:
    return sum(isinstance(event.event, JobCancelled) for event in await api.to.store.history(job_id))


@pytest.mark.parametrize("events", [[requested()], [requested(), started(StageName.RESOLVER)], [requested(), ready()]])
async def test_a_job_that_waits_or_is_under_way_is_cancelled_once_however_often_one_asks(api: Running, events: list[AnyEvent]) -> None:
    job_id = await api.knows(*history(*events))
    answers = await asyncio.gather(*(cancel(api, job_id) for _ in range(5)))
    answers.append(await cancel(api, job_id))
    assert {(a.status_code, a.json()["job"]["status"]) for a in answers} == {(200, "cancelled")}
    assert answers[-1].json()["events"][-1]["type"] == "job.cancelled"
    assert await cancellations(api, job_id) == 1
    assert code_of(await api.http.get(f"/api/jobs/{job_id}/result"))[:2] == (409, "INVALID_STATE")


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        (DONE, (409, "INVALID_STATE")),
        ((requested(), JobFailed(stage=StageName.RESOLVER, code="SOURCE_UNREADABLE", message="no video")), (409, "INVALID_STATE")),
        ((requested(), JobExpired()), (410, "GONE")),
    ],
)
async def test_what_is_over_stays_as_it_is(api: Running, events: tuple[AnyEvent, ...], refused: tuple[int, str]) -> None:
    job_id = await api.knows(*history(*events))
    assert code_of(await cancel(api, job_id))[:2] == refused
    assert await cancellations(api, job_id) == 0


async def test_an_unknown_job_is_not_found(api: Running) -> None:
    assert code_of(await cancel(api, uuid4()))[:2] == (404, "NOT_FOUND")


async def test_cancelling_an_edit_keeps_the_clip_and_says_what_is_missing(api: Running) -> None:
    job_id = await api.knows(*history(*FULL))
    assert (await put(api, job_id)).json()["job"]["status"] == "processing"
    job = (await cancel(api, job_id)).json()["job"]
    assert (job["status"], job["progress"], job["resultVideoKey"]) == ("done", 100, "results/j/clip.mp4")
    assert [warning["code"] for warning in job["warnings"]] == ["CANCELLED"]
    assert (await api.http.get(f"/api/jobs/{job_id}/result")).status_code == 200
    assert fold(await api.to.store.history(job_id)).is_editable


async def test_an_end_that_came_first_is_told(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip was uploaded between the look at the job and the cancellation: the fold's word counts."""
    job_id = await api.knows(*history(requested(), ready()))
    append = api.to.store.append

    async def late(event: object) -> object:
        if isinstance(event.event, JobCancelled):  # type: ignore[attr-defined]
            await append(envelope(uploaded(), job_id))
        return await append(event)  # type: ignore[arg-type]

    monkeypatch.setattr(api.to.store, "append", late)
    assert code_of(await cancel(api, job_id))[:2] == (409, "INVALID_STATE")
    assert fold(await api.to.store.history(job_id)).status == "done"
