"""Which message a silent job is missing: by example, and for every history that the system could write."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.events import (
    CONSUMES,
    AsrFailed,
    BurnFailed,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    SourceReady,
    StageName,
    StageProgress,
)
from libs.common.domain.job import Job, fold
from services.janitor.overdue import Deadlines, awaited_stage, overdue
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded
from tests.fakes import NOW

DEADLINES = Deadlines(queued=30, attempt=600, margin=60)
FAR = NOW + timedelta(days=1)
WITH_ALL = requested(with_subtitles=True, burn_subtitles=True)


def after_last(events: list[Envelope], seconds: float) -> Envelope | None:
    return overdue(events, events[-1].at + timedelta(seconds=seconds), DEADLINES)


def test_a_job_that_nobody_started_is_published_again_after_the_queued_deadline() -> None:
    events = history(requested())
    assert after_last(events, 30) is None
    assert after_last(events, 31) == events[0]


@pytest.mark.parametrize(
    ("last", "silence"),
    [
        (started(StageName.RESOLVER), 660),
        (StageProgress(stage=StageName.RESOLVER, progress=0.5), 660),
        (retried(StageName.RESOLVER), 61),
    ],
)
def test_a_running_attempt_and_a_waiting_retry_have_their_time_first(last: object, silence: float) -> None:
    events = history(requested(), started(StageName.RESOLVER), last)  # type: ignore[arg-type]
    assert after_last(events, silence) is None
    assert after_last(events, silence + 1) is not None


def test_an_answered_stage_is_followed_by_the_next_ones_cause_with_the_answers_own_id() -> None:
    events = history(WITH_ALL, ready(), uploaded())
    cause = overdue(events, FAR, DEADLINES)
    assert cause is not None
    assert isinstance(cause.event, ClipUploaded)
    assert cause.id == events[-1].id


def test_a_replayed_job_misses_the_message_of_its_new_run() -> None:
    events = history(requested(), ready(), JobFailed(stage=StageName.CLIPPER, code="INTERNAL", message="no"))
    again = JobReplayed(stage=StageName.CLIPPER, by="o", source="DLQ:1")
    events.append(envelope(again, events[0].job_id, run=2, at=NOW + timedelta(seconds=9)))
    cause = overdue(events, FAR, DEADLINES)
    assert cause is not None
    assert (type(cause.event), cause.run) == (SourceReady, 2)


def test_a_late_start_of_an_answered_stage_does_not_hide_the_stage_after_it() -> None:
    events = history(requested(), ready(), started(StageName.RESOLVER))
    assert awaited_stage(fold(events)) is StageName.CLIPPER


@pytest.mark.parametrize("end", [JobCancelled(by="c"), JobExpired(), JobFailed(stage=StageName.RESOLVER, code="X", message="m")])
def test_a_job_that_is_over_misses_nothing(end: object) -> None:
    assert overdue(history(requested(), end), FAR, DEADLINES) is None  # type: ignore[arg-type]


def test_a_job_whose_request_is_forgotten_misses_nothing() -> None:
    assert overdue([], FAR, DEADLINES) is None
    assert overdue(history(started(StageName.ASR)), FAR, DEADLINES) is None


ANSWERS = {StageName.RESOLVER: ready(), StageName.CLIPPER: uploaded(), StageName.ASR: transcribed(), StageName.BURNER: burned()}


def failure_of(stage: StageName) -> object:
    optional = {StageName.ASR: AsrFailed(code="X", message="m"), StageName.BURNER: BurnFailed(code="X", message="m")}
    return optional.get(stage, JobFailed(stage=stage, code="X", message="m"))


def next_event(step: str, stage: StageName | None, job: Job) -> tuple[object, int] | None:
    """What the system would write in this step, with its run; None where the step makes no sense."""
    answered = sorted(each for each, run in job.answers if run == job.run)
    match step:
        case "replay" if job.failed_stage:
            return JobReplayed(stage=job.failed_stage, by="o", source=f"DLQ:{job.run}"), job.run + 1
        case "zombie" if answered:
            return started(answered[0]), job.run
        case "answer" | "fail" | "start" | "retry" | "progress" if stage:
            answers = {"answer": ANSWERS[stage], "fail": failure_of(stage), "start": started(stage), "retry": retried(stage)}
            return answers.get(step, StageProgress(stage=stage, progress=0.5)), job.run
        case _:
            return None


@st.composite
def lives(draw: st.DrawFn) -> list[Envelope]:
    """A history as the system writes it: attempts, retries, answers, failures, replays, and zombies that start what is answered."""
    subtitles, burn = draw(st.sampled_from([(False, False), (True, False), (True, True)]))
    events = history(requested(with_subtitles=subtitles, burn_subtitles=burn))
    for step in draw(st.lists(st.sampled_from(["start", "retry", "progress", "answer", "fail", "replay", "zombie"]), max_size=25)):
        job = fold(events)
        if found := next_event(step, awaited_stage(job), job):
            event, run = found
            events.append(envelope(event, events[0].job_id, run=run, at=NOW + timedelta(seconds=len(events))))  # type: ignore[arg-type]
    return events


@given(lives())
@settings(max_examples=300, deadline=None)
def test_every_open_job_has_one_message_that_moves_it_on_and_no_closed_job_has_any(events: list[Envelope]) -> None:
    job, cause = fold(events), overdue(events, FAR, DEADLINES)
    assert (cause is None) == job.is_over
    if cause is not None:
        stage = next(s for s, consumed in CONSUMES.items() if isinstance(cause.event, consumed))
        assert cause.run == job.run
        assert job.answer_to(stage, job.run) is None
        assert stage is StageName.RESOLVER or not isinstance(cause.event, ClipsRequested)


@given(lives(), st.integers(0, 2000), st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_what_is_overdue_stays_overdue(events: list[Envelope], seconds: int, more: int) -> None:
    if (cause := after_last(events, seconds)) is not None:
        assert after_last(events, seconds + more) == cause
