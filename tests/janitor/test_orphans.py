"""Objects whose job is unknown or expired go, and nothing else does. On real Postgres and S3."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from libs.common.domain.events import JobExpired
from libs.common.domain.failures import Failure
from libs.common.runtime.background import running
from libs.common.runtime.object_store import open_object_store
from services.janitor import orphans
from services.janitor.findings import Foreign, Orphan, Seen, words
from services.janitor.orphans import OrphanSweep, sweep_storage
from services.janitor.schedule import alone
from services.janitor.source_cache import PREFIX
from tests.builders import envelope, requested
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_with, until
from tests.janitor.storage import files, finished_job, keys, looked, put


async def test_the_objects_of_an_unknown_job_go_and_those_of_a_known_one_stay(own: World) -> None:
    job_id, nobody = await finished_job(own), uuid4()
    [queued] = await job_with(own, requested(expires_at=ago(-3600)))
    kept = [f"sources/{queued.job_id}/source.mp4", f"sources/{job_id}/source.mp4"]
    await put(own.objects.sources, *kept, f"sources/{nobody}/source.mp4")
    await put(own.objects.results, *files(nobody))
    seen, found = await looked(own)
    assert set(await keys(own.objects.results)) == set(files(job_id))
    assert set(await keys(own.objects.sources)) == {*kept, f"uploads/{job_id}/in.mp4"}
    assert {(each.kind, each.job_id, each.objects, each.size, each.removed) for each in found if isinstance(each, Orphan)} == {
        ("result", nobody, 4, 20, True),
        ("source", nobody, 1, 5, True),
    }
    assert (seen.orphans, seen.orphan_bytes, seen.removed, seen.is_well) == (5, 25, 5, True)


async def test_what_a_late_worker_leaves_of_an_expired_job_goes(own: World) -> None:
    """The retention was there before it."""
    job_id, _ = await finished_job(own), await finished_job(own)
    await own.store.append(envelope(JobExpired(), job_id))
    seen, _ = await looked(own)
    assert seen.removed == 4
    assert not set(files(job_id)) & set(await keys(own.objects.results))


async def test_an_object_that_is_young_stays_whosever_it_is(own: World) -> None:
    await finished_job(own)
    await put(own.objects.results, *files(uuid4()))
    settings = msgspec.structs.replace(own.settings, orphans_grace_hours=24)
    seen = Seen()
    await OrphanSweep(sql(own), own.objects, settings, seen.count, seen, act=True).sweep()
    assert (seen.objects, seen.orphans, len(await keys(own.objects.results))) == (8, 0, 8)
    later = OrphanSweep(sql(own), own.objects, settings, seen.count, seen, act=True, now=lambda: datetime.now(UTC) + timedelta(hours=25))
    await later.sweep()
    assert seen.removed == len(await keys(own.objects.results)) == 4


def sql(world: World) -> orphans.Statements:
    return orphans.Statements(world.c.pool, "storage.sql", "services.janitor")


async def test_what_is_not_ours_is_told_of_and_stays_and_so_do_uploads_and_fetched_sources(own: World) -> None:
    await finished_job(own)
    foreign = ["results/readme.txt", f"results/{str(uuid4()).upper()}/clip.mp4", f"results/{uuid4()}"]
    others = [f"{PREFIX}{uuid4()}.mp4", f"uploads/{uuid4()}/in.mp4", f"{uuid4()}/clip.mp4"]
    await put(own.objects.results, *foreign)
    await put(own.objects.sources, *others)
    seen, found = await looked(own)
    assert {each.key for each in found if isinstance(each, Foreign)} == set(foreign)
    assert (seen.foreign, seen.orphans, seen.is_well) == (3, 0, True)
    assert set(foreign) <= set(await keys(own.objects.results))
    assert set(others) <= set(await keys(own.objects.sources))


async def test_a_dry_run_removes_nothing(own: World) -> None:
    await finished_job(own)
    await put(own.objects.results, *files(uuid4()))
    seen, found = await looked(own, act=False)
    assert (seen.orphans, seen.removed, seen.is_well, len(await keys(own.objects.results))) == (4, 0, False, 8)
    assert "of no living job" in words(found[0])


async def test_a_database_that_knows_no_job_empties_no_bucket(own: World) -> None:
    """It is another one than the one that these objects belong to, or a backup is about to be restored there."""
    await put(own.objects.results, *files(uuid4()))
    with pytest.raises(Failure, match="DATABASE_URL"):
        await looked(own)
    assert len(await keys(own.objects.results)) == 4


async def test_all_pages_are_walked(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "PAGE", 3)
    known, strangers = await finished_job(own), [uuid4() for _ in range(4)]
    for stranger in strangers:
        await put(own.objects.results, *files(stranger))
    seen, _ = await looked(own)
    assert (seen.objects, seen.removed) == (20, 16)
    assert set(await keys(own.objects.results)) == set(files(known))


async def test_a_bucket_that_keeps_its_objects_does_not_end_the_look(own: World) -> None:
    await finished_job(own)
    await put(own.objects.sources, f"sources/{uuid4()}/source.mp4")
    stranger = uuid4()
    await put(own.objects.results, *files(stranger))
    sweep = OrphanSweep(sql(own), own.objects, own.settings, lambda _: None, seen := Seen(), act=True)
    async with open_object_store(msgspec.structs.replace(own.settings, s3_results_bucket="clipstream-of-nobody")) as elsewhere:
        assert not await sweep.is_rid_of(elsewhere.results, files(stranger))
    await sweep.sweep()
    assert seen.objects == 9
    assert not set(files(stranger)) & set(await keys(own.objects.results))


async def test_one_janitor_looks_and_another_takes_over_when_it_is_gone(own: World) -> None:
    await finished_job(own)
    await put(own.objects.results, *files(uuid4()))
    begun = asyncio.Event()
    async with own.store.lease("orphans") as ours:
        assert ours
        await alone(own.store, "orphans", lambda: _set(begun), patience=0.1)()
        assert not begun.is_set()
    async with running(sweep_storage(own.settings, own.c)):
        await until(lambda: _has(own, 4))


async def _set(event: asyncio.Event) -> None:
    event.set()


async def _has(world: World, number: int) -> bool:
    return len(await keys(world.objects.results)) == number
