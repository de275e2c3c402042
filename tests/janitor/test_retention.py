"""What has expired goes, objects before rows, and what still stands stays. On real Postgres and S3."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from libs.common.domain.events import Envelope, JobExpired, JobFailed, JobReplayed, StageName
from libs.common.runtime.object_store import Bucket, ObjectStore, open_object_store
from services.janitor.retention import Retention
from tests.builders import envelope, ready, requested, started, uploaded
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with

SOON = timedelta(hours=72, minutes=1)


def retention(world: World, *, after: timedelta = timedelta(0), objects: ObjectStore | None = None, **settings: object) -> Retention:
    """As it acts `after` that time from now."""
    changed = msgspec.structs.replace(world.settings, **{"cleanup_pause_ms": 1} | settings)
    return Retention(world.store, objects or world.objects, changed, now=lambda: datetime.now(UTC) + after)


async def finished_job(world: World, *, expires_at: datetime, **fields: object) -> UUID:
    """A job that is done, with its source and clip in S3."""
    [first, *_] = await job_with(world, requested(expires_at=expires_at, **fields), ready(), uploaded())
    await world.objects.sources.put(f"sources/{first.job_id}/source.mp4", b"s", "video/mp4")
    await world.objects.results.put(f"results/{first.job_id}/clip.mp4", b"c", "video/mp4")
    return first.job_id


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
    assert await world.store.expired(ago(-(10**6)), 10) == []


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


async def test_a_job_that_is_still_open_at_its_end_is_over_from_then_on_and_what_a_late_worker_leaves_goes_too(world: World) -> None:
    [first, _] = await job_with(world, requested(expires_at=ago(1)), ready())
    await retention(world).clean_up()
    assert (await job_of(world, first.job_id)).is_over
    await world.store.append(envelope(uploaded(), first.job_id, at=ago(0)))
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
    assert len(await world.store.history(first)) == len(await world.store.history(second)) == 4
    await retention(world).clean_up()
    assert await files_of(world, first) == await files_of(world, second) == []
    assert events_in(await world.store.history(first)) == [JobExpired]


async def test_an_upload_that_no_job_asked_for_goes_when_it_is_old(world: World) -> None:
    key = f"uploads/{uuid4()}/in.mp4"
    await world.objects.sources.put(key, b"u", "video/mp4")
    await retention(world).clean_up()
    assert await keys(world.objects.sources, key) == [key]
    await retention(world, after=SOON).clean_up()
    assert await keys(world.objects.sources, key) == []


async def test_an_upload_stays_until_the_last_job_that_asked_for_it_has_expired(world: World) -> None:
    key = f"uploads/{uuid4()}/in.mp4"
    await world.objects.sources.put(key, b"u", "video/mp4")
    await finished_job(world, expires_at=ago(1), upload_key=key)
    last = await finished_job(world, expires_at=ago(-80 * 3600), upload_key=key)
    await retention(world, after=SOON).clean_up()
    assert await keys(world.objects.sources, key) == [key]
    assert (await job_of(world, last)).status == "done"
    await retention(world, after=timedelta(hours=81)).clean_up()
    assert await keys(world.objects.sources, key) == []


async def test_an_upload_stays_while_its_job_is_still_processing_or_was_replayed(world: World) -> None:
    """The job has no copy of it: whatever stage runs again reads it there."""
    kept = {"expires_at": ago(-80 * 3600)}
    processed, replayed = (f"uploads/{uuid4()}/in.mp4" for _ in range(2))
    failure = JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no")
    await job_with(world, requested(upload_key=processed, **kept), ready(source_key=processed), started(StageName.CLIPPER))
    [first, *_] = await job_with(world, requested(upload_key=replayed, **kept), ready(source_key=replayed), failure)
    replay = envelope(JobReplayed(stage=StageName.CLIPPER, by="me", source="DLQ:1"), first.job_id, run=2, at=ago(1))
    await world.store.append(replay, expires_at=ago(-80 * 3600))
    for key in (processed, replayed):
        await world.objects.sources.put(key, b"u", "video/mp4")
    await retention(world, after=SOON).clean_up()
    assert [await keys(world.objects.sources, key) for key in (processed, replayed)] == [[processed], [replayed]]
    assert (await job_of(world, first.job_id)).status == "processing"
