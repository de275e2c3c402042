"""Uploads whose time is up go: what S3 has first, rows after; what a job needs stays. On real Postgres and S3."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from libs.common.domain.failures import Failure
from libs.common.runtime.background import running
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.postgres import Statements
from services.janitor.upload_sweep import UploadSweep, sweep_uploads
from tests.builders import requested
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_with, until

MP4 = "video/mp4"
HOURS = 3600.0


@pytest.fixture
def world(emptied: World) -> World:
    return emptied


@pytest.fixture(autouse=True)
async def _empty(world: World) -> None:
    connection = await asyncpg.connect(world.settings.database_url.reveal())
    await connection.execute("TRUNCATE uploads")
    await connection.close()
    for bucket in (world.objects.sources, world.objects.results):
        for each in [each async for each in bucket.client_uploads.unfinished()]:
            await bucket.client_uploads.abort(each.key, each.upload_id)


def sweep(world: World, *, after: timedelta = timedelta(0), objects: ObjectStore | None = None, **settings: Any) -> UploadSweep:
    """As it acts `after` that time from now."""
    changed = msgspec.structs.replace(world.settings, **{"cleanup_pause_ms": 1} | settings)
    sql = Statements(world.c.pool, "upload_sweep.sql", "services.janitor")
    return UploadSweep(sql, objects or world.objects, changed, now=lambda: datetime.now(UTC) + after)


async def begun(world: World, *, over: float) -> tuple[str, str]:
    """An upload that has a part, and whose time is up for `over` seconds: its key and a part's URL."""
    uploads, upload_id = world.objects.sources.client_uploads, uuid4()
    key = f"uploads/{upload_id}/talk.mp4"
    multipart_id = await uploads.begin(key, MP4)
    await row(world, upload_id, key, multipart_id, over=over)
    return key, (await uploads.signed_part(key, multipart_id, 1, size=1, content_type=MP4, ttl=60)).url


async def whole(world: World, *, over: float) -> str:
    upload_id = uuid4()
    key = f"uploads/{upload_id}/talk.mp4"
    await world.objects.sources.put(key, b"u", MP4)
    await row(world, upload_id, key, "over", over=over, etag="its")
    return key


async def row(world: World, upload_id: UUID, key: str, multipart_id: str, *, over: float, etag: str | None = None) -> None:
    await world.c.pool.execute(
        "INSERT INTO uploads"
        " (id, tenant, key, size, part_size, content_type, multipart_id, state, etag, created_at, completed_at, expires_at)"
        " VALUES ($1, '', $2, 1, 1, 'video/mp4', $3, $4, $5, now(), $6, $7)",
        *(upload_id, key, multipart_id, "complete" if etag else "uploading", etag, ago(0) if etag else None, ago(over)),
    )


async def rows(world: World) -> set[str]:
    return {each["key"] for each in await world.c.pool.fetch("SELECT key FROM uploads")}


async def is_there(world: World, key: str) -> bool:
    return await world.objects.sources.head(key) is not None


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0


async def test_what_is_not_complete_in_time_is_aborted_and_its_urls_are_dead(world: World) -> None:
    old, young = await begun(world, over=2 * HOURS), await begun(world, over=0.5 * HOURS)
    before = counted("clip_abandoned_uploads_total"), counted("clip_upload_records_removed_total")
    await sweep(world).clean_up()
    assert await rows(world) == {young[0]}
    async with httpx.AsyncClient() as http:
        assert [(await http.put(url, content=b"1", headers={"Content-Type": MP4})).status_code for _, url in (old, young)] == [404, 200]
    assert (counted("clip_abandoned_uploads_total"), counted("clip_upload_records_removed_total")) == (before[0] + 1, before[1] + 1)


async def test_a_complete_upload_goes_with_its_row_unless_a_job_needs_it(world: World) -> None:
    unused, used, young = [await whole(world, over=hours * HOURS) for hours in (2, 2, 0.5)]
    await job_with(world, requested(upload_key=used))
    await sweep(world).clean_up()
    assert await rows(world) == {used, young}
    assert [await is_there(world, key) for key in (unused, used, young)] == [False, True, True]


async def test_a_row_whose_object_is_gone_already_goes(world: World) -> None:
    key = await whole(world, over=2 * HOURS)
    await world.objects.sources.delete([key])
    await sweep(world).clean_up()
    assert await rows(world) == set()


async def test_those_that_jobs_need_hold_up_no_others_behind_them(world: World) -> None:
    used = [await whole(world, over=hours * HOURS) for hours in (5, 4, 3)]
    for key in used:
        await job_with(world, requested(upload_key=key))
    unused = await whole(world, over=2 * HOURS)
    found = await sweep(world, cleanup_batch_size=2).clean_up()
    assert (await rows(world), found.total, await is_there(world, unused)) == ({*used}, 1, False)


async def test_more_than_one_batch_holds_all_goes_and_again_is_harmless(world: World) -> None:
    for _ in range(3):
        await whole(world, over=2 * HOURS)
        await begun(world, over=2 * HOURS)
    for _ in range(2):
        await sweep(world, cleanup_batch_size=2).clean_up()
        assert await rows(world) == set()


async def test_an_upload_that_no_row_names_is_aborted_in_both_buckets_when_it_is_a_day_old(world: World) -> None:
    buckets = (world.objects.sources, world.objects.results)
    for bucket in buckets:
        await bucket.client_uploads.begin(f"results/{uuid4()}/clip.mp4", MP4)
    for hours, left in ((23, 1), (26, 0)):
        await sweep(world, after=timedelta(hours=hours)).clean_up()
        assert [len([each async for each in bucket.client_uploads.unfinished()]) for bucket in buckets] == [left, left]


async def test_an_upload_outside_our_folders_is_somebody_elses(world: World) -> None:
    sources = world.objects.sources
    others = ("backups/monday.tar", "uploads-of-others/a.mp4", "video.mp4", "uploads/monday.tar")
    for key in others:
        await sources.client_uploads.begin(key, MP4)
    await sweep(world, after=timedelta(hours=26)).clean_up()
    assert len([each async for each in sources.client_uploads.unfinished()]) == len(others)


async def test_a_dry_run_deletes_nothing(world: World) -> None:
    key, (other, _) = await whole(world, over=2 * HOURS), await begun(world, over=2 * HOURS)
    found = await sweep(world, after=timedelta(hours=26), cleanup_dry_run=True).clean_up()
    assert found.counts == {"rows of uploads, complete": 1, "rows of uploads, uploading": 1, "unfinished multipart uploads": 1}
    assert await rows(world) == {key, other}
    assert await is_there(world, key)
    assert [each.key async for each in world.objects.sources.client_uploads.unfinished()] == [other]


async def test_two_buckets_that_are_one_are_looked_through_once(world: World) -> None:
    await world.objects.sources.client_uploads.begin(f"uploads/{uuid4()}/talk.mp4", MP4)
    one = ObjectStore(world.objects.sources, world.objects.sources, world.objects.region)
    found = await sweep(world, after=timedelta(hours=26), objects=one, cleanup_dry_run=True).clean_up()
    assert found.counts == {"unfinished multipart uploads": 1}


async def test_a_row_stays_while_s3_keeps_its_object_or_is_away(world: World) -> None:
    key = await whole(world, over=2 * HOURS)
    elsewhere = msgspec.structs.replace(world.settings, s3_sources_bucket="clipstream-of-nobody")
    async with open_object_store(elsewhere) as objects:
        assert (await sweep(world, objects=objects).clean_up()).total == 0
    away = msgspec.structs.replace(world.settings, s3_endpoint_url="http://127.0.0.1:9", storage_upload_attempts=1)
    async with open_object_store(away) as objects:
        with pytest.raises(Failure, match="reached"):
            await sweep(world, objects=objects).clean_up()
    assert await rows(world) == {key}


async def test_the_task_sweeps_again_and_again(world: World) -> None:
    settings = msgspec.structs.replace(world.settings, retention_every_sec=0.05)

    async def is_empty() -> bool:
        return await rows(world) == set()

    async with running(sweep_uploads(settings, world.c)):
        for _ in range(2):
            await whole(world, over=2 * HOURS)
            await until(is_empty)
