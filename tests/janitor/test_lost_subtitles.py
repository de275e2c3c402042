"""Subtitles never cost the clip: what failed for good lies in the dead letters, and its replay adds it to the finished job.

The two optional stages as their services declare them, on the real servers; only what they do with the clip is made up.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from libs.common.domain.causes import cause_for
from libs.common.domain.dead_letters import ReplayRequest
from libs.common.domain.edits import edit_source
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import Envelope, JobReplayed, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import CLIPS, DLQ
from libs.common.runtime.stage import Stage, World, process
from services.asr.main import STAGES as ASR_STAGES
from services.clipper.main import STAGES as CLIPPER_STAGES
from services.janitor.replay import Replays
from tests.builders import burned, ready, requested, transcribed, uploaded
from tests.janitor import conftest
from tests.janitor.steps import job_of, job_with, lane, messages

ASR, BURNER = StageName.ASR, StageName.BURNER
DECLARED: dict[StageName, Stage[Any]] = {stage.name: stage for stage in (*ASR_STAGES, *CLIPPER_STAGES)}
ANSWERS: dict[StageName, Callable[[], Any]] = {ASR: transcribed, BURNER: burned}


async def run(world: conftest.World, name: StageName, *, fails: bool = False) -> None:
    """The stage with the one message that waits for it."""

    async def handle(_event: Any, _context: Any) -> Any:
        if fails:
            raise Failure(Code.FORBIDDEN, "the provider refuses")
        return ANSWERS[name]()

    delivery = await lane(world, name).take(wait=5)
    assert delivery is not None
    runner = World(store=world.store, bus=world.bus, objects=world.objects, health=world.c.health, settings=world.settings)
    await process(replace(DECLARED[name], handle=handle), runner, delivery)


async def clip_that_wants_subtitles(world: conftest.World) -> Envelope:
    """Its clip.uploaded, which waits for the asr stage."""
    asked = requested(with_subtitles=True, burn_subtitles=True, expires_at=datetime.now(UTC) + timedelta(hours=1))
    *_, cause = await job_with(world, asked, ready(), uploaded())
    await world.bus.publish(cause)
    return cause


async def replayed(world: conftest.World) -> None:
    answer = await Replays(world.store, world.bus).answer(ReplayRequest(all=True))
    assert (len(answer.replayed), answer.refused) == (1, [])


def told(job: Job) -> tuple[str, list[str], bool, bool]:
    return job.status, [warning.code for warning in job.warnings], job.subtitles is not None, job.burned is not None


@pytest.mark.parametrize("lost", [ASR, BURNER])
async def test_a_stage_that_failed_for_good_is_a_warning_and_its_replay_adds_what_was_lost(world: conftest.World, lost: StageName) -> None:
    cause = await clip_that_wants_subtitles(world)
    if lost is BURNER:
        await run(world, ASR)
    await run(world, lost, fails=True)
    assert told(await job_of(world, cause.job_id)) == ("done", ["FORBIDDEN"], lost is BURNER, False)
    [letter] = await messages(world.bus, DLQ)
    assert letter.headers["Clip-Error-Code"] == "FORBIDDEN"
    assert await messages(world.bus, CLIPS) == []

    await replayed(world)
    if lost is ASR:
        await run(world, ASR)
    await run(world, BURNER)
    assert told(await job_of(world, cause.job_id)) == ("done", [], True, True)
    assert await messages(world.bus, DLQ) == []
    assert await messages(world.bus, CLIPS) == []


async def test_what_an_edit_lost_is_replayed_as_that_edit(world: conftest.World) -> None:
    cause = await clip_that_wants_subtitles(world)
    await run(world, ASR)
    await run(world, BURNER)
    done = await job_of(world, cause.job_id)

    edit = JobReplayed(stage=ASR, by="edit", source=edit_source(b"words"))
    opening = structs.replace(cause.followed_by(edit, event_id=replay_id(cause.job_id, 2), at=datetime.now(UTC)), run=2)
    await world.store.append(opening, expires_at=done.expires_at)
    again = cause_for(await job_of(world, cause.job_id), ASR)
    assert again is not None
    await world.bus.publish(again)
    await run(world, ASR)
    assert told(await job_of(world, cause.job_id)) == ("processing", [], True, False)
    await run(world, BURNER, fails=True)
    assert told(await job_of(world, cause.job_id)) == ("done", ["FORBIDDEN"], True, False)

    await replayed(world)
    await run(world, BURNER)
    job = await job_of(world, cause.job_id)
    assert (told(job), job.run, job.edit) == (("done", [], True, True), 3, edit.source)
    assert fold(await world.store.history(cause.job_id)).is_editable
