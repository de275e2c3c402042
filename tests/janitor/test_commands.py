"""The one-off commands: what they find, what they do with --yes or --repair, and how they end. As processes, on the real servers."""

import argparse
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.events import JobExpired, JobFailed, JobReplayed, StageName
from libs.common.domain.failures import Failure
from services.janitor import backfill_expiry_command, cleanup_command, command, requeue_command, verify_storage_command
from services.janitor.backfill import JITTER, Backfilled, Kept, due
from services.janitor.reconciler import deadlines_of
from services.janitor.requeue import Judged, judged
from tests.builders import envelope, ready, requested, started
from tests.janitor.commands import called, mained, ran
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, job_with, publish_long_ago, work_of
from tests.janitor.storage import files, finished_job, keys, put, variables

RESOLVER, CLIPPER, *_ = StageName


@pytest.mark.parametrize("module", [verify_storage_command, requeue_command, backfill_expiry_command], ids=lambda module: module.__name__)
async def test_a_command_says_what_it_is_for_and_how_it_ends(own: World, module: ModuleType) -> None:
    told = await called(own, module, "--help")
    assert told.code == 0
    assert "--json" in told.out
    assert "Exit codes" in told.out


async def test_a_server_that_is_away_is_named_with_its_variable(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PATIENCE", 1.5)
    away = msgspec.structs.replace(own.settings, s3_endpoint_url="http://127.0.0.1:1", storage_upload_attempts=1)
    with pytest.raises(Failure, match="s3 does not answer; check S3_ENDPOINT_URL"):
        await command._run(verify_storage_command.verify, argparse.Namespace(), away, ("postgres", "s3"))


async def test_verify_storage_reports_and_with_repair_does_something_about_it(own: World) -> None:
    whole, broken, nobody = await finished_job(own), await finished_job(own), uuid4()
    await put(own.objects.results, *files(nobody), "results/readme.txt")
    await own.objects.results.delete([f"results/{broken}/clip.srt"])
    told = await called(own, verify_storage_command, "--json")
    assert told.code == 3
    *findings, seen = told.lines
    assert {each["found"]: each.get("jobId") for each in findings} == {"orphan": str(nobody), "foreign": None, "missing": str(broken)}
    assert (seen["orphans"], seen["removed"], seen["missing"], seen["repaired"]) == (4, 0, 1, 0)
    told = await ran(own, "verify_storage_command", "--repair")
    assert told.code == 0
    assert f"{broken}: clip.srt; runs again from asr" in told.out
    assert "4 removed" in told.out
    assert not set(files(nobody)) & set(await keys(own.objects.results))
    assert (await job_of(own, broken)).status == "processing"
    assert [work.job_id for work in await work_of(own)] == [broken]
    told = await called(own, verify_storage_command, "--json")
    assert (told.code, told.lines[-1]["orphans"], told.lines[-1]["jobs"]) == (0, 0, 1)
    assert (await job_of(own, whole)).run == 1


async def test_verify_storage_refuses_to_empty_buckets_for_a_database_that_knows_no_job(own: World) -> None:
    await put(own.objects.results, *files(uuid4()))
    told = await mained(variables(own), verify_storage_command, "--repair")
    assert told.code == 1
    assert "check that DATABASE_URL is the right one" in told.err
    assert len(await keys(own.objects.results)) == 4


async def test_verify_storage_reports_beside_a_janitor_that_is_at_it(own: World) -> None:
    await finished_job(own)
    async with own.store.lease("orphans") as ours:
        assert ours
        assert (await called(own, verify_storage_command)).code == 0


async def test_while_a_dry_run_is_set_nothing_is_repaired(own: World) -> None:
    await finished_job(own)
    await put(own.objects.results, *files(uuid4()))
    told = await called(own, verify_storage_command, "--repair", cleanup_dry_run=True)
    assert (told.code, "CLEANUP_DRY_RUN" in told.err, len(await keys(own.objects.results))) == (3, True, 8)


async def test_a_database_that_is_not_migrated_is_told_of_in_words(own: World) -> None:
    url = urlsplit(own.settings.database_url.reveal())
    empty = url._replace(path="/template1").geturl()
    told = await mained({**variables(own), "DATABASE_URL": empty}, cleanup_command, "--dry-run")
    assert (told.code, told.out) == (1, "")
    assert "migrated" in told.err


async def test_requeue_publishes_what_is_lost_and_only_once(own: World) -> None:
    [lost] = await job_with(own, requested(), seconds_ago=60)
    [*_, waiting] = await job_with(own, requested(), ready(), seconds_ago=60)
    [*_, over] = await job_with(own, requested(), JobFailed(stage=RESOLVER, code="INTERNAL", message="no"), seconds_ago=60)
    await publish_long_ago(own, waiting)
    jobs = [str(each.job_id) for each in (lost, waiting, over)]
    told = await called(own, requeue_command, *jobs, "--json")
    assert (told.code, [each["outcome"] for each in told.lines[:-1]]) == (3, ["lost", "in queue", "over"])
    assert len(await work_of(own)) == 1
    told = await called(own, requeue_command, *jobs, "--yes")
    assert told.code == 0
    assert "published" in told.out
    told = await called(own, requeue_command, *jobs, "--yes", "--json")
    assert [each["outcome"] for each in told.lines[:-1]] == ["in queue", "in queue", "over"]
    assert sorted(str(work.job_id) for work in await work_of(own)) == sorted(jobs[:2])


async def test_requeue_finds_silent_jobs_by_stage_and_time(own: World) -> None:
    old, young = [(await job_with(own, requested(), ready(), seconds_ago=at))[0].job_id for at in (1200, 300)]
    at_work = (await job_with(own, requested(), started(RESOLVER), seconds_ago=1200))[0].job_id
    told = await called(own, requeue_command, "--silent-for", "10m", "--stage", "clipper", "--yes", "--json")
    assert (told.code, [each["jobId"] for each in told.lines[:-1]]) == (0, [str(old)])
    told = await called(own, requeue_command, "--silent-for", "1m", "--json")
    assert {each["jobId"]: each["outcome"] for each in told.lines[:-1]} == {
        str(old): "in queue",
        str(young): "lost",
        str(at_work): "lost",
    }
    assert [work.job_id for work in await work_of(own)] == [old]


@pytest.mark.parametrize("arguments", [[], ["--silent-for", "soon"], ["no-id"], ["--stage", "clipper"]], ids=" ".join)
async def test_requeue_explains_a_wrong_call(own: World, arguments: list[str]) -> None:
    told = await called(own, requeue_command, *arguments)
    assert told.code == 2
    assert "error:" in told.err


async def test_an_unknown_job_is_told_of(own: World) -> None:
    told = await called(own, requeue_command, str(uuid4()), "--yes")
    assert told.code == 3
    assert "there is no such job" in told.out


def test_what_was_just_heard_of_is_not_lost(own: World) -> None:
    now, job_id = datetime.now(UTC), uuid4()
    history = [envelope(requested(), job_id, at=now - timedelta(seconds=2))]
    found = judged(job_id, history, now, timedelta(0), deadlines_of(own.settings))
    assert isinstance(found, Judged)
    assert found.outcome == "not silent"


async def kept_until(world: World, job_id: UUID) -> datetime:
    until: datetime = await world.c.pool.fetchval("SELECT expires_at FROM job_index WHERE job_id = $1", job_id)
    return until


async def old_job(world: World, hours: float, *, closed: bool = True) -> UUID:
    """Asked for an hour ago, kept for so many from then on."""
    [first, *_] = await job_with(world, requested(expires_at=ago(3600) + timedelta(hours=hours)), ready(), seconds_ago=3600)
    if closed:
        await world.store.close((await world.store.history(first.job_id))[-1:])
    return first.job_id


async def test_backfill_gives_the_present_retention_to_what_had_the_former_one_and_is_over(own: World) -> None:
    """Not to what a client wanted kept for another time, nor to what is in flight or expired."""
    plain, wished, busy = await old_job(own, 72), await old_job(own, 5), await old_job(own, 72, closed=False)
    gone = await old_job(own, 72)
    await own.store.append(envelope(JobExpired(), gone))
    ends = {job: await kept_until(own, job) for job in (plain, wished, busy, gone)}
    asked = ("--was", "72", "--json")
    told = await called(own, backfill_expiry_command, *asked, retention_hours=24.0)
    assert (told.code, told.lines) == (3, [{"due": 1, "inFlight": 1, "others": 1, "changed": 0}])
    assert {job: await kept_until(own, job) for job in ends} == ends
    told = await called(own, backfill_expiry_command, *asked, "--yes", retention_hours=24.0, cleanup_batch_size=1)
    assert (told.code, told.lines[0]["changed"]) == (0, 1)
    assert {job: await kept_until(own, job) for job in ends} == {**ends, plain: ends[plain] - timedelta(hours=48)}


async def test_backfill_lengthens_only_on_demand(own: World) -> None:
    job_id = await old_job(own, 24)
    before = await kept_until(own, job_id)
    told = await called(own, backfill_expiry_command, "--was", "24", "--yes")
    assert (told.code, "give --longer" in told.err, await kept_until(own, job_id)) == (3, True, before)
    told = await called(own, backfill_expiry_command, "--was", "24", "--yes", "--longer")
    assert (told.code, await kept_until(own, job_id)) == (0, before + timedelta(hours=48))


async def test_a_job_that_runs_again_between_the_look_and_the_write_keeps_its_end(own: World) -> None:
    job_id = await old_job(own, 72)
    before = await kept_until(own, job_id)
    again = envelope(JobReplayed(stage=CLIPPER, by="me", source="DLQ:1"), job_id, run=2)
    await own.store.append(again, expires_at=before)
    statement = (Path("services/janitor/storage.sql").read_text()).partition("-- name: keep_until")[2]
    assert await own.c.pool.fetch(statement, [job_id], [before], [ago(0)]) == []
    assert await kept_until(own, job_id) == before


async def test_a_job_that_is_deleted_between_the_look_and_the_write_keeps_its_end(own: World) -> None:
    """Though the clock of the API that deletes it is ahead of ours."""
    job_id = await old_job(own, 72)
    before = await kept_until(own, job_id)
    await own.store.append(envelope(JobExpired(), job_id, at=ago(-30)))
    deleted = await kept_until(own, job_id)
    statement = (Path("services/janitor/storage.sql").read_text()).partition("-- name: keep_until")[2]
    assert await own.c.pool.fetch(statement, [job_id], [before], [before - timedelta(hours=48)]) == []
    assert await kept_until(own, job_id) == deleted


async def test_a_backfill_that_was_killed_is_finished_by_giving_it_again(own: World, tmp_path: Path) -> None:
    jobs = [await old_job(own, 72) for _ in range(3)]
    (tmp_path / "janitor.backfilled").touch()
    asked = {"RETENTION_HOURS": "24", "CLEANUP_BATCH_SIZE": "1", "FAULT_POINTS_DIR": str(tmp_path)}
    before = {job: await kept_until(own, job) for job in jobs}
    assert (await ran(own, "backfill_expiry_command", "--was", "72", "--yes", **asked)).code == -signal.SIGKILL
    told = await called(own, backfill_expiry_command, "--was", "72", "--yes", "--json", retention_hours=24.0)
    assert (told.code, told.lines[0]["changed"], told.lines[0]["others"]) == (0, 2, 1)
    assert {job: await kept_until(own, job) for job in jobs} == {job: end - timedelta(hours=48) for job, end in before.items()}


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis wants them so
kept = st.builds(Kept, st.uuids(), moments, moments, st.booleans())


@settings(max_examples=50)
@given(st.lists(kept, unique_by=lambda job: job.job_id), st.integers(1, 999), st.integers(1, 999))
def test_every_job_is_counted_once_and_nothing_in_flight_is_touched(jobs: list[Kept], was: int, now: int) -> None:
    jobs = [replace(job, expires_at=job.asked_at + timedelta(hours=was)) if job.job_id.int % 2 else job for job in jobs]
    count = Backfilled()
    ends = due(jobs, timedelta(hours=was), timedelta(hours=now), count)
    assert (count.due + count.in_flight + count.others, count.due) == (len(jobs), len(ends))
    by_id = {job.job_id: job for job in jobs}
    assert all(abs(end - by_id[job].asked_at - timedelta(hours=now)) <= JITTER for job, end in ends.items())
    assert not any(by_id[job].is_open for job in ends)
