"""Uploads that no job needs go when they are old, whatever became of their jobs; others stay. On real Postgres and S3."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from libs.common.domain.events import JobFailed, JobReplayed, StageName
from services.janitor.old_uploads import OldUploads
from services.janitor.report import Report
from tests.builders import envelope, ready, requested, started
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with
from tests.janitor.storage import is_ours
from tests.janitor.test_retention import SOON, finished_job, keys, retention


@pytest.fixture
def world(emptied: World) -> World:
    return emptied


async def clean_up(world: World, *, after: timedelta = timedelta(0), **settings: object) -> Report:
    """Retention first, as it is the first to know of an upload; as they act `after` that time from now."""
    await retention(world, after=after, **settings).clean_up()
    changed = msgspec.structs.replace(world.settings, **{"cleanup_pause_ms": 1} | settings)
    return await OldUploads(world.store, world.objects.sources, changed, is_ours, now=lambda: datetime.now(UTC) + after).clean_up()


async def test_an_upload_that_no_job_asked_for_goes_when_it_is_old(world: World) -> None:
    key = f"uploads/{uuid4()}/in.mp4"
    await world.objects.sources.put(key, b"u", "video/mp4")
    await clean_up(world)
    assert await keys(world.objects.sources, key) == [key]
    await clean_up(world, after=SOON)
    assert await keys(world.objects.sources, key) == []


async def test_an_upload_stays_until_the_last_job_that_asked_for_it_has_expired(world: World) -> None:
    key = f"uploads/{uuid4()}/in.mp4"
    await world.objects.sources.put(key, b"u", "video/mp4")
    await finished_job(world, expires_at=ago(1), upload_key=key)
    last = await finished_job(world, expires_at=ago(-80 * 3600), upload_key=key)
    await clean_up(world, after=SOON)
    assert await keys(world.objects.sources, key) == [key]
    assert (await job_of(world, last)).status == "done"
    await clean_up(world, after=timedelta(hours=81))
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
    await clean_up(world, after=SOON)
    assert [await keys(world.objects.sources, key) for key in (processed, replayed)] == [[processed], [replayed]]
    assert (await job_of(world, first.job_id)).status == "processing"
