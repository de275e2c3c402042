"""Repairs: what a replay for lost files does to a job that is done, by example and by property."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.causes import cause_for
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import Envelope, JobFailed, JobReplayed, StageName, decode, encode
from libs.common.domain.job import apply, fold
from tests.builders import burned, envelope, history, ready, requested, transcribed, uploaded

RESOLVER, CLIPPER, ASR, BURNER = StageName
DONE = (requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), burned())


def repair(job_id: UUID, *lost: StageName, run: int = 2) -> Envelope:
    event = JobReplayed(stage=lost[0], by="janitor", source=f"repair:{run}", lost=lost)
    return envelope(event, job_id, id=replay_id(job_id, run), run=run)


def test_only_what_was_lost_is_made_again() -> None:
    done = fold(history(*DONE))
    opened = apply(done, repair(done.id, CLIPPER))
    assert (opened.status, opened.stage, opened.run, opened.clip) == ("processing", CLIPPER, 2, None)
    assert (opened.subtitles, opened.burned) == (done.subtitles, done.burned)
    assert cause_for(opened, CLIPPER).run == 2
    again = apply(opened, envelope(uploaded(size=11), done.id, run=2))
    assert (again.status, again.clip, again.subtitles) == ("done", uploaded(size=11), done.subtitles)


def test_a_repair_of_several_stages_is_done_when_the_last_of_them_is() -> None:
    job = fold(history(*DONE))
    answers = [envelope(event, job.id, run=2) for event in (uploaded(), transcribed(cues=2), burned())]
    statuses = [(job := apply(job, each)).status for each in (repair(job.id, CLIPPER, ASR, BURNER), *answers)]
    assert statuses == ["processing", "processing", "processing", "done"]


def test_what_can_not_be_made_again_fails_the_job_in_the_run_of_its_repair() -> None:
    done = fold(history(*DONE))
    failure = JobFailed(stage=RESOLVER, code="SOURCE_UNREADABLE", message="gone")
    job = apply(apply(done, repair(done.id, RESOLVER, CLIPPER)), envelope(failure, done.id, run=2))
    assert (job.status, job.failed_stage, job.clip, job.source) == ("failed", RESOLVER, None, None)


@pytest.mark.parametrize("events", [DONE[:1], DONE[:4], (*DONE[:2], JobFailed(stage=CLIPPER, code="INTERNAL", message="no"))])
def test_a_job_that_is_not_done_is_not_repaired(events: tuple) -> None:
    job = fold(history(*events))
    after = apply(job, repair(job.id, CLIPPER))
    assert (after.run, after.status, after.clip) == (1, job.status, job.clip)


def test_a_replay_that_an_older_version_wrote_has_lost_nothing() -> None:
    old = envelope(JobReplayed(stage=CLIPPER, by="ada", source="DLQ:1"))
    body = encode(old).replace(b',"lost":[]', b"")
    assert b"lost" not in body
    assert decode(body) == old


@given(st.sets(st.sampled_from([CLIPPER, ASR, BURNER]), min_size=1))
def test_a_repaired_job_is_done_with_exactly_its_lost_answers_anew(lost: set[StageName]) -> None:
    done = fold(history(*DONE))
    made = {CLIPPER: uploaded(size=11), ASR: transcribed(cues=9), BURNER: burned(size=12)}
    stages = [stage for stage in StageName if stage in lost]
    job = apply(done, repair(done.id, *stages))
    for stage in stages:
        assert job.status == "processing"
        job = apply(job, envelope(made[stage], done.id, run=2))
    assert job.status == "done"
    found = {CLIPPER: job.clip, ASR: job.subtitles, BURNER: job.burned}
    before = {CLIPPER: done.clip, ASR: done.subtitles, BURNER: done.burned}
    assert found == {stage: made[stage] if stage in lost else before[stage] for stage in made}
