"""Jobs that are done and lack files run again, or say what is true; nothing else is touched. On real Postgres, S3 and NATS."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.domain.event_ids import cancel_id, replay_id
from libs.common.domain.events import JobCancelled, JobExpired, JobReplayed, StageName
from services.janitor.findings import Missing, Seen
from services.janitor.lost_files import FILES_LOST
from services.janitor.missing import MissingFiles
from services.janitor.orphans import Statements
from tests.builders import burned, envelope, requested, transcribed, uploaded
from tests.janitor.conftest import World, own_buckets
from tests.janitor.steps import ago, job_of, job_with, work_of
from tests.janitor.storage import LONG_AGO, files, finished_job, looked, put

RESOLVER, CLIPPER, ASR, BURNER = StageName


@pytest.fixture
async def own(own: World) -> World:
    """With one job that has all its files."""
    await finished_job(own)
    return own


async def lose(world: World, job_id: UUID, *names: str) -> None:
    await world.objects.results.delete([f"results/{job_id}/{name}" for name in names])


async def repaired(world: World, job_id: UUID) -> Missing:
    """The one finding of a look, which is of this job."""
    _, found = await looked(world)
    [missing] = [each for each in found if isinstance(each, Missing)]
    assert missing.job_id == job_id
    return missing


@pytest.mark.parametrize(
    ("name", "stage"),
    [("clip.mp4", CLIPPER), ("thumb.jpg", CLIPPER), ("clip.srt", ASR), ("clip.subbed.mp4", BURNER)],
)
async def test_a_lost_file_is_made_again_by_its_stage(own: World, name: str, stage: StageName) -> None:
    job_id = await finished_job(own)
    await lose(own, job_id, name)
    missing = await repaired(own, job_id)
    assert (missing.keys, missing.outcome, missing.repaired) == ((f"results/{job_id}/{name}",), "repaired", True)
    job = await job_of(own, job_id)
    assert (job.status, job.stage, job.run) == ("processing", stage, 2)
    [work] = await work_of(own)
    assert (work.job_id, work.run, type(work.event)) == (job_id, 2, type(work.event))
    assert {"clip.mp4": "source.ready", "thumb.jpg": "source.ready", "clip.srt": "clip.uploaded", "clip.subbed.mp4": "asr.done"}[
        name
    ] == type(work.event).__struct_config__.tag


async def test_a_job_whose_whole_folder_is_lost_is_made_again_once_and_then_stands(own: World) -> None:
    job_id = await finished_job(own)
    await lose(own, job_id, "clip.mp4", "thumb.jpg", "clip.srt", "clip.subbed.mp4")
    assert len((await repaired(own, job_id)).keys) == 4
    seen, _ = await looked(own)
    assert (seen.missing, len(await work_of(own))) == (0, 1)
    clip, srt, subbed, _ = files(job_id)
    for event in (uploaded(video_key=clip), transcribed(srt_key=srt), burned(video_key=subbed)):
        await own.store.append(envelope(event, job_id, run=2, at=ago(LONG_AGO)))
    await put(own.objects.results, *files(job_id))
    await own.store.close((await own.store.history(job_id))[-1:])
    seen, _ = await looked(own)
    assert (seen.jobs, seen.missing, (await job_of(own, job_id)).status) == (2, 0, "done")


async def test_a_clip_whose_upload_is_gone_too_fails_and_says_what_to_do(own: World) -> None:
    job_id = await finished_job(own, source=False)
    await lose(own, job_id, "clip.mp4")
    missing = await repaired(own, job_id)
    assert (missing.outcome, missing.repaired) == ("lost", True)
    job = await job_of(own, job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.hint) == ("SOURCE_UNREADABLE", "Send the file again and create a new job.")
    assert await work_of(own) == []
    assert (await looked(own))[0].missing == 0


async def test_a_clip_of_a_url_is_fetched_again(own: World) -> None:
    job_id = await finished_job(own, source=False, source_type="youtube", source_url="https://v.example/1", upload_key=None)
    await lose(own, job_id, "clip.mp4")
    assert (await repaired(own, job_id)).outcome == "repaired"
    assert [type(work.event).__struct_config__.tag for work in await work_of(own)] == ["clips.requested"]


async def test_a_poster_that_can_not_be_made_again_does_not_cost_the_clip(own: World) -> None:
    job_id = await finished_job(own, source=False)
    await lose(own, job_id, "thumb.jpg")
    assert (await repaired(own, job_id)).outcome == "lost"
    job = await job_of(own, job_id)
    assert (job.status, job.clip.thumbnail_key, job.warnings) == ("done", None, (FILES_LOST,))
    assert (await looked(own))[0].missing == 0


async def test_a_dry_run_reports_and_changes_nothing(own: World) -> None:
    job_id = await finished_job(own)
    await lose(own, job_id, "clip.srt")
    seen, found = await looked(own, act=False)
    assert [(each.repaired, each.remedy) for each in found] == [(False, "runs again from asr")]
    assert ((await job_of(own, job_id)).run, await work_of(own), seen.is_well) == (1, [], False)


@pytest.mark.parametrize("case", ["young", "expiring", "processing", "cancelled", "expired"])
async def test_a_job_that_is_not_done_for_good_is_left_alone(own: World, case: str) -> None:
    match case:
        case "young":
            job_id = await finished_job(own, seconds_ago=60)
        case "expiring":
            job_id = await finished_job(own, expires_at=ago(-600))
        case "processing":
            [first] = await job_with(own, requested(expires_at=ago(-80 * 3600)), seconds_ago=LONG_AGO)
            job_id = first.job_id
        case "cancelled":
            [first, _] = await job_with(own, requested(expires_at=ago(-80 * 3600)), JobCancelled(by="me"), seconds_ago=LONG_AGO)
            job_id = first.job_id
        case _:
            job_id = await finished_job(own)
            await own.store.append(envelope(JobExpired(), job_id, at=ago(LONG_AGO)))
    await own.store.close((await own.store.history(job_id))[-1:])
    await lose(own, job_id, "clip.mp4", "clip.srt", "thumb.jpg", "clip.subbed.mp4")
    before = await own.store.history(job_id)
    seen, _ = await looked(own)
    assert (seen.missing, await own.store.history(job_id)) == (0, before)


async def test_a_file_that_is_there_again_at_the_second_look_is_not_missing(own: World) -> None:
    """As where the listing is older than the job."""
    job_id = await finished_job(own)
    look = looking(own, told := [])
    await look.settle(await job_of(own, job_id))
    assert told == []
    await lose(own, job_id, "clip.mp4")
    await look.settle(await job_of(own, job_id))
    assert [each.repaired for each in told] == [True]


async def test_an_edit_that_came_between_the_two_looks_wins(own: World) -> None:
    job_id = await finished_job(own)
    seen_as_done = await job_of(own, job_id)
    await lose(own, job_id, "clip.srt")
    edit = envelope(JobReplayed(stage=ASR, by="edit", source="edit:a"), job_id, id=replay_id(job_id, 2), run=2, at=ago(0))
    await own.store.append(edit, expires_at=ago(-80 * 3600))
    await looking(own, told := []).settle(seen_as_done)
    assert (told, (await job_of(own, job_id)).edit) == ([], "edit:a")


async def test_an_edit_that_came_between_the_second_look_and_the_repair_wins(own: World) -> None:
    job_id = await finished_job(own, source=False)
    await lose(own, job_id, "clip.mp4")
    edit = envelope(JobReplayed(stage=ASR, by="edit", source="edit:a"), job_id, id=replay_id(job_id, 2), run=2, at=ago(0))

    class Late(MissingFiles):
        async def is_recorded(self, job: Any, events: Any) -> bool:
            await own.store.append(edit, expires_at=ago(-80 * 3600))
            return await super().is_recorded(job, events)

    await looking(own, told := [], kind=Late).settle(await job_of(own, job_id))
    assert [each.repaired for each in told] == [False]
    job = await job_of(own, job_id)
    assert (job.run, job.edit, job.status, await work_of(own)) == (2, "edit:a", "processing", [])


async def test_a_deletion_that_came_between_the_second_look_and_the_repair_wins(own: World) -> None:
    job_id = await finished_job(own)
    await lose(own, job_id, "clip.mp4")

    class Late(MissingFiles):
        async def is_recorded(self, job: Any, events: Any) -> bool:
            await own.store.append(envelope(JobExpired(), job_id, id=cancel_id(job_id, 9), at=ago(0)))
            return await super().is_recorded(job, events)

    await looking(own, [], kind=Late).settle(await job_of(own, job_id))
    assert (await job_of(own, job_id)).status == "expired"


async def test_one_look_repairs_a_bounded_number_and_the_next_one_goes_on(own: World) -> None:
    jobs = [await finished_job(own) for _ in range(3)]
    for job_id in jobs:
        await lose(own, job_id, "clip.srt")
    own = replace(own, settings=msgspec.structs.replace(own.settings, cleanup_batch_size=2))
    seen, _ = await looked(own)
    assert (seen.repaired, seen.unrepaired, seen.is_well) == (2, 1, False)
    seen, _ = await looked(own)
    assert (seen.repaired, seen.unrepaired, len(await work_of(own))) == (1, 0, 3)


async def test_no_job_is_given_up_for_a_bucket_that_shows_no_result_at_all(own: World) -> None:
    """It is another bucket than the one that these jobs have their clips in."""
    job_id = await finished_job(own, source=False)
    elsewhere = await own_buckets(own)
    seen, _ = await looked(elsewhere)
    assert (seen.repaired, seen.unrepaired, (await job_of(own, job_id)).status) == (0, 2, "done")


def looking(world: World, told: list, kind: type[MissingFiles] = MissingFiles) -> MissingFiles:
    sql = Statements(world.c.pool, "storage.sql", "services.janitor")
    return kind(sql, world.c, world.settings, told.append, Seen(), act=True, is_sure=True)
