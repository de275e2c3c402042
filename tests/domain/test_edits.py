"""Edited transcripts: their identity, and what they do to a finished job, by example and by property."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.causes import cause_for
from libs.common.domain.edits import EditedCue, EditedTranscript, decode_edit, edit_key, edit_source, encode_edit, is_edit
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import AnyEvent, AsrFailed, BurnFailed, Envelope, JobReplayed, StageName, StageProgress
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, apply, fold
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded

RESOLVER, CLIPPER, ASR, BURNER = StageName
FULL = {"with_subtitles": True, "burn_subtitles": True}
DONE = (requested(**FULL), ready(), uploaded(), transcribed(), burned())
EDIT = EditedTranscript("en", (EditedCue(0, 1000, ("Hello,", "you")),))
SOURCE = edit_source(encode_edit(EDIT))


def edited(events: list[Envelope], *, source: str = SOURCE, run: int = 2, stage: StageName = ASR) -> Envelope:
    job_id = events[0].job_id
    return envelope(JobReplayed(stage=stage, by="edit", source=source), job_id, id=replay_id(job_id, run), run=run)


def test_a_transcript_survives_its_way_through_the_storage() -> None:
    assert decode_edit(encode_edit(EDIT)) == EDIT


@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b'{"language":"en","cues":[{"start":"soon"}]}'])
def test_what_is_no_edited_transcript_is_our_own_fault(body: bytes) -> None:
    with pytest.raises(Failure) as failure:
        decode_edit(body)
    assert failure.value.code is Code.INTERNAL


def test_an_edit_is_known_by_what_it_says() -> None:
    other = edit_source(encode_edit(EditedTranscript("de", EDIT.cues)))
    assert SOURCE == edit_source(encode_edit(EditedTranscript("en", EDIT.cues))) != other
    assert is_edit(SOURCE)
    assert not is_edit("DLQ:12")
    job_id = uuid4()
    assert edit_key(job_id, SOURCE) == f"results/{job_id}/edited-{SOURCE.partition(':')[2]}.json" != edit_key(job_id, other)


def test_an_edit_takes_a_finished_job_back_to_its_subtitles() -> None:
    events = history(*DONE)
    assert (fold(events).is_editable, fold(events).is_edited, fold(events).edited_key) == (True, False, None)
    job = fold([*events, edited(events)])
    assert (job.status, job.stage, job.run, job.subtitles, job.burned) == ("processing", ASR, 2, None, None)
    assert job.language == "en"
    assert (job.is_edited, job.edited_key, job.is_editable) == (True, edit_key(events[0].job_id, SOURCE), False)
    cause = cause_for(job, ASR)
    assert cause is not None
    assert (cause.event, cause.run) == (uploaded(), 2)


def test_an_edited_job_is_done_when_its_subtitles_are_and_then_its_picture_is() -> None:
    events = history(*DONE)
    opened = fold([*events, edited(events)])
    begun = apply(opened, envelope(started(ASR), opened.id, run=2))
    made = apply(begun, envelope(transcribed(cues=7), opened.id, run=2))
    over = apply(made, envelope(burned(size=11), opened.id, run=2))
    assert [job.status for job in (opened, begun, made, over)] == ["processing", "processing", "processing", "done"]
    assert over.subtitles == transcribed(cues=7)
    assert over.burned == burned(size=11)
    assert opened.progress <= begun.progress < made.progress < over.progress == 100


def test_what_the_run_before_the_edit_still_says_changes_nothing() -> None:
    events = history(*DONE)
    opened = fold([*events, edited(events)])
    late = apply(opened, envelope(transcribed(cues=7), opened.id, run=1))
    assert (late.status, late.subtitles) == ("processing", None)


@pytest.mark.parametrize("failed", [AsrFailed(code="X", message="y"), BurnFailed(code="X", message="y")])
def test_an_edit_mends_what_had_failed(failed: AnyEvent) -> None:
    before = (*DONE[:3], failed) if isinstance(failed, AsrFailed) else (*DONE[:4], failed)
    events = history(*before)
    job = fold([*events, edited(events)])
    assert (job.status, job.stage, job.warnings) == ("processing", ASR, ())


def test_an_edit_that_fails_leaves_the_clip_and_a_warning_and_can_be_replayed_as_an_edit() -> None:
    events = history(*DONE)
    opened = fold([*events, edited(events)])
    failed = apply(opened, envelope(AsrFailed(code="RETRIES_EXHAUSTED", message="away"), opened.id, run=2))
    assert (failed.status, len(failed.warnings), failed.failed_stage, failed.clip) == ("done", 1, ASR, uploaded())
    again = apply(failed, edited(events, source="DLQ:7", run=3))
    assert (again.status, again.run, again.is_edited, again.edited_key) == ("processing", 3, True, opened.edited_key)


def test_a_burn_in_that_failed_after_an_edit_is_replayed_alone() -> None:
    events = history(*DONE)
    opened = fold([*events, edited(events)])
    made = apply(opened, envelope(transcribed(cues=7), opened.id, run=2))
    failed = apply(made, envelope(BurnFailed(code="X", message="y"), opened.id, run=2))
    again = apply(failed, edited(events, source="DLQ:7", run=3, stage=BURNER))
    assert (failed.status, again.status, again.stage, again.subtitles) == ("done", "processing", BURNER, transcribed(cues=7))


def test_the_last_edit_counts_and_an_earlier_one_may_come_again() -> None:
    events = history(*DONE)
    other = edit_source(b"other")
    job = fold(events)
    for run, source in ((2, SOURCE), (3, other), (4, SOURCE)):
        job = apply(job, edited(events, source=source, run=run))
        assert (job.run, job.edit) == (run, source)
        for answer in (transcribed(), burned()):
            job = apply(job, envelope(answer, job.id, run=run))
        assert job.status == "done"


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ((requested(), ready(), uploaded()), {}),
        (DONE[:4], {}),
        (DONE[:1], {}),
        (DONE, {"stage": CLIPPER}),
        (DONE, {"run": 3}),
        (DONE, {"run": 1}),
    ],
)
def test_only_subtitles_that_are_over_are_edited(before: tuple[AnyEvent, ...], change: dict[str, Any]) -> None:
    events = history(*before)
    job = fold([*events, edited(events, **change)])
    assert (job.run, job.status, job.is_edited) == (1, fold(events).status, False)


steps = st.lists(
    st.sampled_from(
        [
            *(started(stage) for stage in StageName),
            *(retried(stage) for stage in StageName),
            *(StageProgress(stage=stage, progress=p) for stage in StageName for p in (0.1, 0.9)),
            AsrFailed(code="X", message="y"),
            BurnFailed(code="X", message="y"),
            ready(),
            uploaded(),
            transcribed(),
            burned(),
            *(JobReplayed(stage=stage, by="me", source=source) for stage in StageName for source in ("DLQ:1", "edit:a", "edit:b")),
        ]
    ),
    max_size=30,
)


@dataclass
class _Story:
    """A job to which these events happen, each in the run that the job is in then."""

    burn: bool
    jobs: list[Job] = field(default_factory=list)

    def tell(self, events: list[AnyEvent]) -> None:
        job_id = uuid4()
        job = fold(history(requested(with_subtitles=True, burn_subtitles=self.burn), job_id=job_id))
        for event in events:
            reopens = isinstance(event, JobReplayed)
            job = apply(job, envelope(event, job_id, run=job.run + reopens))
            self.jobs.append(job)


@given(steps, st.booleans())
def test_progress_never_falls_within_a_run_and_only_a_new_run_leaves_done(events: list[AnyEvent], burn: bool) -> None:
    story = _Story(burn)
    story.tell([ready(), uploaded(), transcribed(), burned(), *events])
    for before, after in zip(story.jobs, story.jobs[1:], strict=False):
        assert after.run in {before.run, before.run + 1}
        assert after.run > before.run or after.progress >= before.progress
        assert after.run > before.run or before.status != "done" or after.status == "done"
        assert (after.progress == 100) == (after.status == "done")
        assert before.edit is None or after.is_edited
