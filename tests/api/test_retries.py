"""POST /api/jobs/{id}/retry, DELETE /api/jobs/{id}/result, and the cap of a client's active jobs."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.common.domain.events import AnyEvent, AsrFailed, JobCancelled, JobExpired, JobFailed, JobReplayed, StageName, decode
from libs.common.domain.job import fold
from libs.common.runtime.settings import load
from services.api.read_model import ReadModel
from services.janitor.retention import Retention
from services.janitor.settings import JanitorSettings
from tests.api.conftest import Running, running
from tests.api.test_idempotency import died_unanswered
from tests.api.test_jobs import DONE, FULL, code_of, created, uploaded_key
from tests.builders import envelope, history, ready, requested, started, uploaded

FAILED = JobFailed(stage=StageName.CLIPPER, code="RETRIES_EXHAUSTED", message="three times")
BROKEN = (requested(), started(StageName.RESOLVER), ready(), started(StageName.CLIPPER), FAILED)


async def retry(api: Running, job_id: UUID) -> httpx.Response:
    return await api.http.post(f"/api/jobs/{job_id}/retry")


async def test_a_failed_job_runs_on_from_the_stage_that_failed(api: Running) -> None:
    messages = await api.to.bus.client.subscribe("source.ready")
    job_id = await api.knows(*history(*BROKEN))
    answer = await retry(api, job_id)
    job = answer.json()["job"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job_id}")
    assert (job["status"], job["stage"], "error" in job) == ("processing", "clipping", False)
    message = decode((await messages.next_msg(timeout=5)).data)
    assert (message.job_id, message.run, message.event) == (job_id, 2, ready())
    replayed = (await api.to.store.history(job_id))[-1].event
    assert isinstance(replayed, JobReplayed)
    assert (replayed.stage, replayed.by, replayed.source.partition(":")[0]) == (StageName.CLIPPER, "client", "retry")


async def test_a_retry_whose_process_died_is_not_done_again_even_if_its_run_has_failed_too(api: Running) -> None:
    job_id, key = await api.knows(*history(*BROKEN)), {"idempotency-key": str(uuid4())}
    path = f"/api/jobs/{job_id}/retry"
    first = (await api.http.post(path, headers=key)).json()["job"]
    await died_unanswered(api.to, key["idempotency-key"])
    again = await api.http.post(path, headers=key)
    assert (again.status_code, again.json()["job"], again.headers["idempotency-replayed"]) == (202, first, "true")
    await died_unanswered(api.to, key["idempotency-key"])
    await api.to.store.append(envelope(FAILED, job_id, run=2))
    again = await api.http.post(path, headers=key)
    assert (again.status_code, again.json()["job"]["status"]) == (202, "failed")
    assert fold(await api.to.store.history(job_id)).run == 2
    assert (await api.http.post(path, headers={"idempotency-key": str(uuid4())})).status_code == 202
    assert fold(await api.to.store.history(job_id)).run == 3


async def test_ten_retries_at_once_are_one_run(api: Running) -> None:
    job_id = await api.knows(*history(*BROKEN))
    answers = await asyncio.gather(*(retry(api, job_id) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert sum(isinstance(one.event, JobReplayed) for one in await api.to.store.history(job_id)) == 1
    assert fold(await api.to.store.history(job_id)).run == 2


async def test_only_the_subtitles_are_tried_again_where_only_they_failed(api: Running) -> None:
    asked = requested(with_subtitles=True)
    lost = AsrFailed(code="RETRIES_EXHAUSTED", message="three times")
    job_id = await api.knows(*history(asked, ready(), uploaded(), lost))
    job = (await retry(api, job_id)).json()["job"]
    assert (job["status"], job["stage"], job["resultVideoKey"]) == ("processing", "transcribing", "results/j/clip.mp4")


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        ((requested(),), (409, "INVALID_STATE")),
        (DONE, (409, "INVALID_STATE")),
        ((requested(), JobCancelled(by="client")), (409, "INVALID_STATE")),
        ((requested(), JobExpired()), (410, "GONE")),
    ],
)
async def test_what_did_not_fail_is_not_retried(api: Running, events: tuple[AnyEvent, ...], refused: tuple[int, str]) -> None:
    assert code_of(await retry(api, await api.knows(*history(*events))))[:2] == refused


async def test_an_unknown_job_is_neither_retried_nor_deleted(api: Running) -> None:
    assert code_of(await retry(api, uuid4()))[:2] == (404, "NOT_FOUND")
    assert code_of(await api.http.delete(f"/api/jobs/{uuid4()}/result"))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize("events", [(requested(),), (requested(), started(StageName.RESOLVER)), FULL])
async def test_a_deleted_job_is_gone_at_once_and_its_files_with_the_next_cleaning(api: Running, events: tuple[AnyEvent, ...]) -> None:
    attempts = [started(StageName.CLIPPER, number) for number in (1, 2)]  # after which S3 is asked for what no event names
    job_id = await api.knows(*history(*events, *attempts))
    key = f"results/{job_id}/clip.mp4"
    await api.to.objects.results.put(key, b"clip", "video/mp4")
    answer = await api.http.delete(f"/api/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["id"]) == (202, str(job_id))
    assert code_of(await api.http.get(f"/api/jobs/{job_id}"))[:2] == (410, "GONE")
    assert code_of(await api.http.delete(f"/api/jobs/{job_id}/result"))[:2] == (410, "GONE")
    await Retention(api.to.store, api.to.objects, load(JanitorSettings, api.environ)).clean_up()
    assert await api.to.objects.results.head(key) is None
    assert [one.event for one in await api.to.store.history(job_id)] == [JobExpired()]


@pytest.fixture
async def capped(environ: Any) -> Any:
    async with running(environ[0], MAX_ACTIVE_JOBS_PER_CLIENT="3", TRUSTED_PROXIES="127.0.0.1/32") as (http, to):
        http.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
        yield Running(http, to, environ[0], environ[1].nats)


async def test_a_client_has_so_many_jobs_under_way_and_no_more_however_they_come(capped: Running) -> None:
    answers = await asyncio.gather(*(created(capped) for _ in range(10)))
    taken = [answer.json()["job"]["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len(taken) == 3
    assert {code_of(answer)[:2] for answer in refused} == {(429, "TOO_MANY_ACTIVE_JOBS")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    await capped.http.delete(f"/api/jobs/{taken[0]}")
    assert (await created(capped)).status_code == 202  # at once: the lists may be behind, the cap is not
    assert (await created(capped)).status_code == 429


async def test_a_group_is_taken_whole_or_not_at_all(capped: Running) -> None:
    segments = [{"start": n, "end": n + 1} for n in range(4)]
    body = {"sourceType": "upload", "uploadKey": await uploaded_key(capped), "segments": segments}
    assert code_of(await capped.http.post("/api/jobs", json=body)) == (400, "VALIDATION_FAILED", "segments")  # it would never fit
    said = [(await capped.http.post("/api/jobs", json={**body, "segments": some})).status_code for some in (segments[:2], segments[2:])]
    assert said == [202, 429]
    assert (await capped.http.post("/api/jobs", json={**body, "segments": segments[:1]})).status_code == 202
    assert (await capped.http.post("/api/jobs", json={**body, "segments": segments, "joined": True})).status_code == 429


async def test_a_retry_counts_as_a_job_under_way(capped: Running) -> None:
    first = (await created(capped)).json()["job"]["id"]
    await capped.to.store.append(envelope(JobFailed(stage=StageName.RESOLVER, code="RETRIES_EXHAUSTED", message="x"), UUID(first)))
    assert [(await created(capped)).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert code_of(await retry(capped, UUID(first)))[:2] == (429, "TOO_MANY_ACTIVE_JOBS")


async def test_a_retry_and_its_place_in_the_lists_are_written_together(api: Running) -> None:
    """Whatever happens to the process between them: there is no between."""
    of = uuid4()
    job_id = await api.knows(*history(requested(group_id=of), started(StageName.RESOLVER), ready(), started(StageName.CLIPPER), FAILED))
    await ReadModel(api.to.pool, api.to.store, nobody).project([job_id])
    await retry(api, job_id)
    answers = await asyncio.gather(*(retry(api, job_id) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {409}
    (job,) = (await api.http.get("/api/jobs", params={"groupId": str(of), "status": "processing"})).json()["jobs"]
    assert job["id"] == str(job_id)


async def test_a_retry_counts_against_who_asked_for_it(capped: Running) -> None:
    """Not against the client that made the job."""
    failed = JobFailed(stage=StageName.RESOLVER, code="RETRIES_EXHAUSTED", message="three times")
    jobs = [await capped.knows(*history(requested(client="somebody else"), failed)) for _ in range(4)]
    await ReadModel(capped.to.pool, capped.to.store, nobody).project(jobs)
    assert [(await retry(capped, job_id)).status_code for job_id in jobs] == [202, 202, 202, 429]
    assert (await created(capped)).status_code == 429
    listed = "SELECT job_id, client, status FROM job_list WHERE job_id = ANY($1) ORDER BY job_id"
    clients = await capped.to.pool.fetch(listed, jobs)
    assert [row["client"] for row in clients if row["status"] == "failed"] == ["somebody else"]
    await ReadModel(capped.to.pool, capped.to.store, nobody).project(jobs)
    assert await capped.to.pool.fetch(listed, jobs) == clients


async def test_a_retry_waits_for_who_is_writing_the_jobs_row(api: Running) -> None:
    """What that one read of the job before would be written over the place that the retry takes, and the cap not hold."""
    job_id = await api.knows(*history(*BROKEN))
    waiting = "SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with api.to.pool.acquire() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('row of ' || $1::text, 0))", str(job_id))
        retrying = asyncio.create_task(retry(api, job_id))
        async with asyncio.timeout(40):
            while not await other.fetchval(waiting):
                assert not retrying.done()
    assert (await retrying).status_code == 202


async def test_a_client_whose_place_is_held_elsewhere_holds_up_no_other(capped: Running) -> None:
    """A replica that was stopped while it wrote for this client."""
    first = (await created(capped)).json()["job"]["id"]
    client = await capped.to.pool.fetchval("SELECT client FROM job_list WHERE job_id = $1", UUID(first))
    async with capped.to.pool.acquire() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended('active jobs of ' || $1, 0))", client)
        waiting = [asyncio.create_task(created(capped)) for _ in range(12)]
        async with asyncio.timeout(10):
            assert (await capped.http.get(f"/api/jobs/{uuid4()}")).status_code == 404
        assert code_of(await waiting[0])[:2] == (503, "RETRYABLE_ERROR")
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} <= {202, 429, 503}


async def nobody(*_: object) -> None:
    return None
