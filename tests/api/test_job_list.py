"""GET /api/jobs: filters, a cursor that new jobs don't move, and rows that follow the events or are made anew from them."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID, uuid4

from litestar.status_codes import HTTP_200_OK

from libs.common.domain.events import AnyEvent, Envelope, JobCancelled, JobExpired, JobFailed, JobReplayed, StageName, StageProgress
from libs.common.domain.job import Job
from libs.common.runtime.event_feed import Cursor
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import open_pool
from services.api.read_model import ReadModel
from tests.api.conftest import Running
from tests.api.test_jobs import DONE, code_of
from tests.builders import envelope, history, ready, requested, started
from tests.own_database import own_database

COLUMNS = "SELECT * FROM job_list ORDER BY job_id"


async def listed(api: Running, **query: Any) -> list[dict[str, Any]]:
    """All pages."""
    jobs: list[dict[str, Any]] = []
    while True:
        answer = await api.http.get("/api/jobs", params=query)
        assert answer.status_code == HTTP_200_OK, answer.text
        jobs += answer.json()["jobs"]
        if "nextCursor" not in answer.json():
            return jobs
        query["cursor"] = answer.json()["nextCursor"]


async def nobody(*_: object) -> None:
    return None


def model(api: Running) -> ReadModel:
    return ReadModel(api.to.pool, api.to.store, nobody)


async def group(api: Running, *kinds: tuple[AnyEvent, ...]) -> tuple[UUID, list[UUID]]:
    """Jobs that nobody else has: a group, with the ids in the order of their creation; all in the lists."""
    of = uuid4()
    ids = []
    for opening, *rest in kinds:
        ids.append(await api.knows(*history(opening_of(opening, of), *rest)))
    await model(api).project(ids)
    return of, ids


def opening_of(event: AnyEvent, group_id: UUID) -> AnyEvent:
    from msgspec.structs import replace  # noqa: PLC0415

    return replace(event, group_id=group_id)


async def test_jobs_are_listed_newest_first_page_by_page(api: Running) -> None:
    of, ids = await group(api, *[(requested(),)] * 7)
    jobs = await listed(api, groupId=of, limit=3)
    assert len(jobs) == len(ids)
    assert {UUID(job["id"]) for job in jobs} == set(ids)
    created = [(job["createdAt"], job["id"]) for job in jobs]
    assert created == sorted(created, reverse=True)


async def test_a_new_job_does_not_move_the_pages_that_follow(api: Running) -> None:
    of, ids = await group(api, *[(requested(),)] * 4)
    first = (await api.http.get("/api/jobs", params={"groupId": str(of), "limit": 2})).json()
    new = await api.knows(envelope(requested(group_id=of), at=datetime.now(UTC) + timedelta(hours=1)))
    await model(api).project([new])
    second = (await api.http.get("/api/jobs", params={"groupId": str(of), "limit": 2, "cursor": first["nextCursor"]})).json()
    assert {job["id"] for job in first["jobs"] + second["jobs"]} == {str(job_id) for job_id in ids}
    assert "nextCursor" not in second


async def test_filters_choose_by_status_source_and_time(api: Running) -> None:
    failed = JobFailed(stage=StageName.RESOLVER, code="SOURCE_UNREADABLE", message="no video")
    link = requested(source_type="youtube", upload_key=None, source_url="https://example.com/v")
    of, (queued, working, done, over, cancelled) = await group(
        api, (requested(),), (link, started(StageName.RESOLVER)), DONE, (requested(), failed), (requested(), JobCancelled(by="client"))
    )
    found = {status: [job["id"] for job in await listed(api, groupId=of, status=status)] for status in STATUSES}
    assert found == dict(zip(STATUSES, ([str(one)] for one in (queued, working, done, over, cancelled)), strict=True))
    assert [job["id"] for job in await listed(api, groupId=of, sourceType="youtube")] == [str(working)]
    moment = (await listed(api, groupId=of))[0]["createdAt"]
    assert await listed(api, groupId=of, createdBefore=moment) == []
    assert len(await listed(api, groupId=of, createdAfter=moment)) == len(STATUSES)


STATUSES = ("queued", "processing", "done", "failed", "cancelled")


async def test_a_job_that_was_just_created_is_listed(api: Running) -> None:
    from tests.api.test_jobs import created  # noqa: PLC0415

    job_id = (await created(api)).json()["job"]["id"]
    assert job_id in {job["id"] for job in (await api.http.get("/api/jobs")).json()["jobs"]}


async def test_what_is_wrong_in_a_query_is_named(api: Running) -> None:
    for query in ({"cursor": "x"}, {"limit": "0"}, {"limit": "101"}, {"status": "gone"}, {"createdAfter": "yesterday"}, {"colour": "red"}):
        status, code, field = code_of(await api.http.get("/api/jobs", params=query))
        assert (status, code, field) == (400, "VALIDATION_FAILED", next(iter(query)))


async def test_the_rows_are_the_same_when_they_are_made_anew_from_the_events(api: Running) -> None:
    async with own_database(api.environ["DATABASE_URL"]) as url, open_pool(url, connections=2) as pool:
        store = PostgresEventStore(pool)
        rows = ReadModel(pool, store, nobody)
        jobs = [history(*events) for events in (DONE, (requested(), ready()), (requested(),), (requested(), JobExpired()))]
        for event in chain.from_iterable(jobs):
            await store.append(event)
        await rows.project([job[0].job_id for job in jobs])
        before = await pool.fetch(COLUMNS)
        assert {row["job_id"] for row in before} == {job[0].job_id for job in jobs[:3]}
        await rows.rebuild()
        assert await pool.fetch(COLUMNS) == []
        while not await rows.catch_up():
            pass
        assert await pool.fetch(COLUMNS) == before


async def test_an_older_look_at_a_job_never_overwrites_a_newer_one(api: Running) -> None:
    _, (job_id,) = await group(api, DONE)
    rows = model(api)
    old = (await rows.histories([job_id]))[job_id][0][:1]
    async with rows.sql.transaction("test") as connection:
        await rows._write(connection, {job_id: (old, 1)})
    assert await api.to.pool.fetchval("SELECT status FROM job_list WHERE job_id = $1", job_id) == "done"


async def test_an_event_changes_the_lists_within_seconds_without_anybody_asking(api: Running) -> None:
    of, (job_id,) = await group(api, (requested(),))
    await api.to.store.append(envelope(JobCancelled(by="client"), job_id))
    async with asyncio.timeout(40):
        while not await listed(api, groupId=of, status="cancelled"):
            await asyncio.sleep(0.05)


async def test_each_end_of_a_job_is_told_even_if_its_next_run_had_begun_before_anybody_looked(api: Running) -> None:
    told: list[tuple[int, str]] = []

    async def hear(_: object, job: Job) -> None:
        told.append((job.run, job.status))

    failed = JobFailed(stage=StageName.RESOLVER, code="RETRIES_EXHAUSTED", message="no")
    replayed = JobReplayed(stage=StageName.RESOLVER, by="client", source="retry:1")
    at = datetime.now(UTC)
    first = envelope(requested(), at=at)
    job_id = first.job_id
    await api.knows(first, envelope(failed, job_id, at=at))
    await api.to.store.append(envelope(replayed, job_id, run=2, at=at), expires_at=at)
    await ReadModel(api.to.pool, api.to.store, hear).project([job_id])
    assert told == [(1, "failed")]
    await api.to.store.append(envelope(JobCancelled(by="client"), job_id, run=2, at=at))
    await ReadModel(api.to.pool, api.to.store, hear).project([job_id])
    assert told[1:] == [(1, "failed"), (2, "cancelled")]


async def test_a_job_whose_end_can_not_be_told_holds_up_no_other(api: Running) -> None:
    at = datetime.now(UTC)
    bad, good = [await api.knows(first, envelope(JobCancelled(by="client"), first.job_id, at=at)) for first in openings_at(at)]

    async def fail(_: object, job: Job) -> None:
        if job.id == bad:
            raise ValueError("a bug")

    place = await api.to.pool.fetchrow("SELECT * FROM read_model_place")
    here = Cursor(place["txid"], place["position"])
    await ReadModel(api.to.pool, api.to.store, fail)._project_all([bad, good], (here, here))
    assert await api.to.pool.fetchval("SELECT status FROM job_list WHERE job_id = $1", good) == "cancelled"


def openings_at(at: datetime) -> list[Envelope]:
    return [envelope(requested(), at=at) for _ in range(2)]


async def test_an_event_that_can_not_be_read_holds_up_nobody(api: Running) -> None:
    of, (bad, good) = await group(api, (requested(), started(StageName.RESOLVER)), (requested(),))
    await api.to.pool.execute("UPDATE job_events SET envelope = '{}' WHERE job_id = $1 AND seq = 2", bad)
    await api.to.store.append(envelope(JobCancelled(by="client"), bad))
    await api.to.store.append(envelope(JobCancelled(by="client"), good))
    async with asyncio.timeout(40):
        while len(await listed(api, groupId=of, status="cancelled")) < 2:
            await asyncio.sleep(0.05)
    await api.to.pool.execute("DELETE FROM job_events WHERE job_id = $1", bad)


async def test_rows_that_are_made_anew_while_they_are_written_are_all_there_in_the_end(api: Running) -> None:
    of, ids = await group(api, *[(requested(),)] * 20)
    rows, others = model(api), [model(api) for _ in range(3)]
    writing = [asyncio.create_task(for_ever(one)) for one in others]
    try:
        for _ in range(5):
            await rows.rebuild()
        async with asyncio.timeout(60):
            while len(await listed(api, groupId=of)) < len(ids):
                await asyncio.sleep(0.05)
    finally:
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)


async def for_ever(rows: ReadModel) -> None:
    while True:
        await rows.catch_up()
        await asyncio.sleep(0)


async def test_a_row_that_was_told_before_its_job_expired_is_not_written_after(api: Running) -> None:
    """A projection that was held up between its look and its writing."""
    _, (job_id,) = await group(api, (requested(),))
    rows = model(api)
    async with rows.sql.transaction("test") as connection:
        await connection.execute(rows.sql["hold"], [job_id])
        late = asyncio.create_task(rows.project([job_id]))
        await api.to.store.append(envelope(JobExpired(), job_id))
        await connection.execute(rows.sql["drop"], [job_id])
    await late
    assert await api.to.pool.fetchval("SELECT count(*) FROM job_list WHERE job_id = $1", job_id) == 0


async def test_progress_that_was_followed_by_more_is_not_read_for_a_list(api: Running) -> None:
    progress = [StageProgress(stage=StageName.RESOLVER, progress=n / 100) for n in range(50)]
    job_id = await api.knows(*history(requested(), started(StageName.RESOLVER), *progress))
    (found, seq) = (await model(api).histories([job_id]))[job_id]
    assert ([type(one.event).__name__ for one in found], seq) == (["ClipsRequested", "StageStarted", "StageProgress"], 52)
    assert found[-1].event == progress[-1]


async def test_a_moment_that_is_in_no_calendar_is_refused(api: Running) -> None:
    for name, moment in (("createdAfter", "0001-01-01T00:00:00+14:00"), ("createdBefore", "9999-12-31T23:59:59-14:00")):
        assert code_of(await api.http.get("/api/jobs", params={name: moment})) == (400, "VALIDATION_FAILED", name)
