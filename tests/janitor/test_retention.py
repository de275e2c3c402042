"""What has expired goes, objects before rows, and what still stands stays. On real Postgres and S3."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from prometheus_client import REGISTRY

from libs.common.domain.event_ids import expiry_id, replay_id
from libs.common.domain.events import Envelope, JobExpired, JobReplayed, StageName
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.object_store import Bucket, ObjectStore, open_object_store
from services.janitor.retention import Retention
from tests.builders import envelope, ready, requested, started, transcribed, uploaded
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with

SOON = timedelta(hours=72, minutes=1)


@pytest.fixture
def world(emptied: World) -> World:
    return emptied


def retention(world: World, *, after: timedelta = timedelta(0), objects: ObjectStore | None = None, **settings: object) -> Retention:
    """As it acts `after` that time from now."""
    changed = msgspec.structs.replace(world.settings, **{"cleanup_pause_ms": 1} | settings)
    return Retention(world.store, objects or world.objects, changed, now=lambda: datetime.now(UTC) + after)


async def finished_job(world: World, *, expires_at: datetime, **fields: object) -> UUID:
    """A job that is done, with its source and clip in S3."""
    job_id = uuid4()
    source, clip = f"sources/{job_id}/source.mp4", f"results/{job_id}/clip.mp4"
    work = [started(StageName.RESOLVER), ready(source_key=source), started(StageName.CLIPPER), uploaded(video_key=clip)]
    await job_with(world, requested(expires_at=expires_at, **fields), *work, job_id=job_id)
    await world.objects.sources.put(source, b"s", "video/mp4")
    await world.objects.results.put(clip, b"c", "video/mp4")
    return job_id


async def keys(bucket: Bucket, prefix: str) -> list[str]:
    return [found.key async for found in bucket.list(prefix)]


async def files_of(world: World, job_id: UUID) -> list[str]:
    return await keys(world.objects.sources, f"sources/{job_id}/") + await keys(world.objects.results, f"results/{job_id}/")


def events_in(history: list[Envelope]) -> list[type]:
    return [type(each.event) for each in history]


async def test_an_expired_job_loses_its_files_and_its_history_but_for_the_word_that_it_expired(world: World) -> None:
    job_id, young = await finished_job(world, expires_at=ago(1)), await finished_job(world, expires_at=ago(-60))
    await retention(world).clean_up()
    assert await files_of(world, job_id) == []
    assert events_in(await world.store.history(job_id)) == [JobExpired]
    assert (await job_of(world, job_id)).status == "expired"
    assert len(await files_of(world, young)) == 2
    assert (await job_of(world, young)).status == "done"


async def test_an_upload_goes_with_the_last_job_of_it_unless_its_sender_may_still_use_it(world: World) -> None:
    direct, ticketed = (f"uploads/{uuid4()}/talk.mp4" for _ in range(2))
    for key in (direct, ticketed):
        await world.objects.sources.put(key, b"talk", "video/mp4")
    await world.c.pool.execute(
        "INSERT INTO uploads VALUES ($1, '', $2, 4, 4, 'video/mp4', 'm', 'complete', 'e', now(), now(), now() + interval '1 h')",
        uuid4(),
        ticketed,
    )
    first, _, _ = [await finished_job(world, expires_at=ago(at), upload_key=key) for at, key in ((1, direct), (-60, direct), (1, ticketed))]
    await retention(world).clean_up()
    assert (await job_of(world, first)).status == "expired"
    assert await world.objects.sources.head(direct)
    await retention(world, after=timedelta(hours=2)).clean_up()
    assert await world.objects.sources.head(direct) is None
    assert await world.objects.sources.head(ticketed)


async def test_an_expired_job_stays_its_tenant_s(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1), tenant="acme")
    await retention(world).clean_up()
    [expired] = await world.store.history(job_id)
    assert expired.event == JobExpired(tenant="acme")
    assert (await job_of(world, job_id)).tenant == "acme"


async def test_the_last_trace_goes_when_it_has_stood_as_long_as_the_job(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1))
    await retention(world).clean_up()
    await retention(world, after=timedelta(hours=71)).clean_up()
    assert (await job_of(world, job_id)).status == "expired"
    await retention(world, after=SOON).clean_up()
    assert await world.store.history(job_id) == []
    assert await world.store.overdue(ago(-(10**6))) == 0


async def test_a_dry_run_deletes_nothing(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1))
    await world.objects.sources.put(f"uploads/{job_id}/in.mp4", b"u", "video/mp4")
    await retention(world, after=SOON, cleanup_dry_run=True).clean_up()
    assert len(await files_of(world, job_id)) == 2
    assert await keys(world.objects.sources, f"uploads/{job_id}/") != []
    assert (await job_of(world, job_id)).status == "done"


async def test_more_expired_jobs_than_one_batch_holds_all_go(world: World) -> None:
    jobs = [await finished_job(world, expires_at=ago(1)) for _ in range(5)]
    await retention(world, cleanup_batch_size=2).clean_up()
    assert [(await job_of(world, job_id)).status for job_id in jobs] == ["expired"] * 5


async def test_a_job_that_is_stuck_is_over_from_then_on_and_what_a_late_worker_leaves_goes_too(world: World) -> None:
    [first, _] = await job_with(world, requested(expires_at=ago(1)), ready(), seconds_ago=SOON.total_seconds())
    await retention(world).clean_up()
    assert (await job_of(world, first.job_id)).is_over
    await world.store.append(envelope(uploaded(video_key=f"results/{first.job_id}/clip.mp4"), first.job_id, at=ago(0)))
    await world.objects.results.put(f"results/{first.job_id}/clip.mp4", b"late", "video/mp4")
    assert (await job_of(world, first.job_id)).status == "expired"
    await retention(world, after=SOON).clean_up()
    assert await files_of(world, first.job_id) == []
    assert await world.store.history(first.job_id) == []


async def test_a_job_whose_files_cannot_be_deleted_keeps_its_rows_and_does_not_hold_up_the_others(world: World) -> None:
    first, second = await finished_job(world, expires_at=ago(2)), await finished_job(world, expires_at=ago(1))
    broken = msgspec.structs.replace(world.settings, s3_results_bucket="clipstream-of-nobody")
    async with open_object_store(broken) as objects:
        await retention(world, objects=objects).clean_up()
    assert [len(await world.store.history(job_id)) for job_id in (first, second)] == [6, 6]
    assert (await retention(world).clean_up()).counts == {}, "what S3 keeps is not in the way of others for an hour"
    await retention(world, after=timedelta(minutes=61)).clean_up()
    assert await files_of(world, first) == await files_of(world, second) == []
    assert events_in(await world.store.history(first)) == [JobExpired]


async def test_a_job_at_work_is_left_alone_until_it_was_silent_for_as_long_as_jobs_are_kept(world: World) -> None:
    at_work = [requested(expires_at=ago(3600)), ready(), started(StageName.CLIPPER)]
    [first, *_] = await job_with(world, *at_work, seconds_ago=1)
    await world.objects.results.put(f"results/{first.job_id}/clip.mp4", b"half", "video/mp4")
    ended = counted("clip_jobs_finished_total", outcome="expired")
    report = await retention(world).clean_up()
    assert (report.counts, report.left) == ({}, {"jobs at work, put off": 1})
    assert ((await job_of(world, first.job_id)).status, len(await files_of(world, first.job_id))) == ("processing", 1)
    assert (await retention(world, after=timedelta(hours=71)).clean_up()).left == {}, "its time is not up"
    await retention(world, after=SOON).clean_up()
    assert ((await job_of(world, first.job_id)).status, await files_of(world, first.job_id)) == ("expired", [])
    assert counted("clip_jobs_finished_total", outcome="expired") == ended + 1


async def test_a_job_at_work_is_not_stuck_within_an_hour_though_jobs_are_kept_for_a_minute(world: World) -> None:
    """RETENTION_HOURS may be a slip of the pen."""
    [first, *_] = await job_with(world, requested(expires_at=ago(1800)), started(StageName.CLIPPER), seconds_ago=1800)
    report = await retention(world, retention_hours=1 / 60).clean_up()
    assert (report.left, (await job_of(world, first.job_id)).status) == ({"jobs at work, put off": 1}, "processing")


async def test_a_file_of_another_form_in_a_job_s_folder_stays_and_holds_up_nothing(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1))
    await world.store.append(envelope(started(StageName.ASR), job_id, at=ago(100)))
    foreign = f"results/{job_id}/a note.txt"
    await world.objects.results._client.put_object(Bucket=world.objects.results.name, Key=foreign, Body=b"theirs")
    await retention(world).clean_up()
    assert ((await job_of(world, job_id)).status, await files_of(world, job_id)) == ("expired", [foreign])


async def test_s3_is_asked_what_it_has_only_of_jobs_whose_history_may_not_tell_all(world: World) -> None:
    jobs = [await finished_job(world, expires_at=ago(1)) for _ in range(3)]
    await world.store.append(envelope(started(StageName.ASR), jobs[0], at=ago(100)))
    for job_id in jobs:
        await world.objects.results.put(f"results/{job_id}/never-named.mp4", b"n", "video/mp4")
    before = counted("clip_storage_requests_total", operation="list", outcome="ok")
    await retention(world).clean_up()
    assert counted("clip_storage_requests_total", operation="list", outcome="ok") == before + 2
    assert [len(await files_of(world, job_id)) for job_id in jobs] == [0, 1, 1], "the orphan sweep's"


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


class Overtaken(PostgresEventStore):
    """Before the janitor's first word about the jobs it saw, somebody else has one."""

    def __init__(self, world: World, first: Callable[[], Awaitable[object]]) -> None:
        super().__init__(world.c.pool)
        self.first: Callable[[], Awaitable[object]] | None = first

    async def put_off(self, until: Mapping[UUID, datetime], *, unless_expired: bool) -> None:
        if self.first:
            await self.first()
        self.first = None
        await super().put_off(until, unless_expired=unless_expired)


async def test_a_job_that_is_brought_back_to_work_while_it_is_being_expired_goes_on(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1), with_subtitles=True)
    other = await finished_job(world, expires_at=ago(1))
    await world.store.append(envelope(transcribed(), job_id, at=ago(60)))
    edited = envelope(JobReplayed(stage=StageName.ASR, by="client", source="edit:1"), job_id, run=2, at=ago(0), id=replay_id(job_id, 2))

    async def edit() -> None:
        await world.store.append(edited, expires_at=ago(1))

    await replace(retention(world, cleanup_batch_size=2), store=Overtaken(world, edit)).clean_up()
    assert ((await job_of(world, job_id)).status, len(await files_of(world, job_id))) == ("processing", 2)
    assert ((await job_of(world, other)).status, await files_of(world, other)) == ("expired", [])
    assert (await retention(world).clean_up()).counts == {}, "put off, as a job at work"


async def test_a_job_at_work_that_is_deleted_while_it_is_being_put_off_goes_at_once(world: World) -> None:
    [first, *_] = await job_with(world, requested(expires_at=ago(1)), started(StageName.RESOLVER))
    store = Overtaken(world, lambda: world.store.append(envelope(JobExpired(), first.job_id, at=ago(0), id=expiry_id(first.job_id))))
    await replace(retention(world), store=store).clean_up()
    await retention(world).clean_up()
    assert events_in(await world.store.history(first.job_id)) == [JobExpired]


async def test_what_is_heard_of_a_job_while_its_last_trace_goes_stays(world: World) -> None:
    job_id = await finished_job(world, expires_at=ago(1))
    await retention(world).clean_up()
    late = envelope(uploaded(), job_id, at=ago(0))
    store = Overtaken(world, lambda: world.store.append(late))
    await replace(retention(world, after=SOON), store=store).clean_up()
    assert events_in(await world.store.history(job_id)) == [JobExpired, type(late.event)]
    await retention(world, after=SOON).clean_up()
    assert await world.store.history(job_id) == []


async def test_a_dry_run_tells_what_it_would_delete(world: World) -> None:
    jobs = [await finished_job(world, expires_at=ago(1)) for _ in range(4)]
    await job_with(world, requested(expires_at=ago(1)), seconds_ago=1)
    [report] = [await retention(world, cleanup_dry_run=True).clean_up()]
    assert (report.counts, report.left) == ({"jobs": 4}, {"jobs at work, put off": 1})
    told = report.tallies["jobs"]
    assert (told.size, set(told.samples) <= {str(job_id) for job_id in jobs}, len(told.samples)) == (4 * 1010, True, 3)
    assert (await job_of(world, jobs[0])).status == "done"
