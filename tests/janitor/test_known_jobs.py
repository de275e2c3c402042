"""Nothing goes for want of a job from a bucket that the database does not know, and no job is given up for one. On real Postgres and S3."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from libs.common.runtime.source_cache import open_source_cache
from services.janitor.findings import Doubt, words
from services.janitor.known_jobs import knows_sources
from services.janitor.old_uploads import OldUploads
from services.janitor.report import Report
from services.janitor.source_cache import PREFIX, Eviction
from tests.janitor.conftest import World, own_buckets
from tests.janitor.steps import job_of
from tests.janitor.storage import files, finished_job, keys, looked, put

LATER = timedelta(hours=80)


async def cleaned(world: World, **settings: object) -> tuple[Report, Report]:
    """Old uploads and the fetched sources' orphans, in eighty hours."""
    changed = msgspec.structs.replace(world.settings, **settings)
    later = lambda: datetime.now(UTC) + LATER  # noqa: E731  a clock
    is_ours = knows_sources(world.c)
    uploads = await OldUploads(world.store, world.objects.sources, changed, is_ours, later).clean_up()
    fetched = Report()
    async with open_source_cache(world.settings.database_url.reveal(), holder="tests", connections=1) as cache:
        await Eviction(cache, world.objects.sources, changed, is_ours, now=later).clean_orphans(fetched)
    return uploads, fetched


async def test_an_empty_database_removes_nothing_from_a_full_bucket(own: World) -> None:
    full = [f"uploads/{uuid4()}/in.mp4", f"{PREFIX}{uuid4()}.mp4"]
    await put(own.objects.sources, *full)
    reports = await cleaned(own)
    assert set(await keys(own.objects.sources)) == set(full)
    assert [(report.total, report.left.total()) for report in reports] == [(0, 1), (0, 1)]


async def test_the_database_of_another_environment_removes_nothing_either(own: World) -> None:
    await finished_job(own)
    elsewhere = await own_buckets(own)
    full = [f"uploads/{uuid4()}/in.mp4", f"{PREFIX}{uuid4()}.mp4", f"sources/{uuid4()}/source.mp4"]
    await put(elsewhere.objects.sources, *full)
    await put(elsewhere.objects.results, *files(stranger := uuid4()))
    await cleaned(elsewhere)
    seen, found = await looked(elsewhere)
    assert set(await keys(elsewhere.objects.sources)) == set(full)
    assert set(await keys(elsewhere.objects.results)) == set(files(stranger))
    doubts = [each for each in found if isinstance(each, Doubt)]
    assert [each.kind for each in doubts] == ["result", "source"]
    assert "check S3_RESULTS_BUCKET and DATABASE_URL" in words(doubts[0])
    assert (seen.orphans, seen.removed, seen.is_well) == (5, 0, False)


async def test_no_job_is_given_up_for_a_results_bucket_of_another_environment(own: World) -> None:
    """It is full, but not of our jobs' results."""
    job_id = await finished_job(own, source=False)
    elsewhere = await own_buckets(own)
    await put(elsewhere.objects.results, *files(uuid4()))
    wrong = replace(own, c=replace(own.c, objects=replace(own.objects, results=elsewhere.objects.results)))
    await finished_job(own)
    seen, _ = await looked(wrong)
    assert (seen.unrepaired, (await job_of(own, job_id)).status) == (1, "done")


async def test_where_the_database_knows_the_bucket_what_no_job_names_goes(own: World) -> None:
    job_id = await finished_job(own)
    await put(own.objects.sources, f"uploads/{uuid4()}/in.mp4", f"{PREFIX}{uuid4()}.mp4")
    await cleaned(own)
    assert await keys(own.objects.sources) == [f"uploads/{job_id}/in.mp4"]


@pytest.mark.parametrize("foreign", ["uploads/my film (1).mp4", "uploads/backup.tar", f"{PREFIX}old/film.mp4", f"{PREFIX}ä b.mp4"])
async def test_what_is_of_another_form_stays_and_holds_up_nothing(own: World, foreign: str) -> None:
    job_id = await finished_job(own)
    await own.objects.sources._client.put_object(Bucket=own.objects.sources.name, Key=foreign, Body=b"theirs")
    await put(own.objects.sources, f"uploads/{uuid4()}/in.mp4", f"{PREFIX}{uuid4()}.mp4")
    await cleaned(own)
    assert set(await keys(own.objects.sources)) == {foreign, f"uploads/{job_id}/in.mp4"}


async def test_an_upload_stays_for_a_day_however_short_jobs_are_kept(own: World) -> None:
    """S3 dates a large one from when it was begun, and its job comes when it is whole."""
    await finished_job(own)
    await put(own.objects.sources, key := f"uploads/{uuid4()}/in.mp4")
    settings = msgspec.structs.replace(own.settings, retention_hours=0.1)
    soon = lambda: datetime.now(UTC) + timedelta(hours=23)  # noqa: E731  a clock
    await OldUploads(own.store, own.objects.sources, settings, knows_sources(own.c), soon).clean_up()
    assert key in await keys(own.objects.sources)
