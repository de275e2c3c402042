"""The fold, by example and by property: whatever the events and their order, the answer is a legal one."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.causes import cause_for
from libs.common.domain.event_ids import answer_id, replay_id, request_id
from libs.common.domain.events import (
    AsrFailed,
    BurnFailed,
    Envelope,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    StageName,
    StageProgress,
)
from libs.common.domain.failures import HINTS, Code
from libs.common.domain.job import Job, apply, fold
from libs.common.domain.values import Notice
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded

RESOLVER, CLIPPER, ASR, BURNER = StageName
FULL = {"with_subtitles": True, "burn_subtitles": True}


def failed(stage: StageName = CLIPPER) -> JobFailed:
    return JobFailed(stage=stage, code="SOURCE_UNREADABLE", message="no video")


def test_a_job_nobody_asked_for_is_unknown() -> None:
    assert fold([]).status == "unknown"


def test_a_requested_job_is_queued_and_has_no_stage() -> None:
    job = fold(history(requested()))
    assert (job.status, job.stage, job.progress) == ("queued", None, 0.0)


def test_a_clip_without_subtitles_is_done_when_it_is_uploaded() -> None:
    job = fold(history(requested(), started(RESOLVER), ready(), started(CLIPPER), uploaded()))
    assert (job.status, job.progress, job.stage) == ("done", 100.0, CLIPPER)


def test_a_clip_with_subtitles_waits_for_them() -> None:
    events = history(requested(with_subtitles=True), ready(), uploaded(), transcribed())
    assert fold(events[:-1]).status == "processing"
    assert fold(events).status == "done"


def test_a_burned_clip_waits_for_the_burning() -> None:
    events = history(requested(**FULL), ready(), uploaded(), transcribed(), burned())
    assert [fold(events[:n]).status for n in (3, 4, 5)] == ["processing", "processing", "done"]


def test_failed_subtitles_never_cost_the_clip() -> None:
    job = fold(history(requested(**FULL), ready(), uploaded(), AsrFailed(code="RETRIES_EXHAUSTED", message="away")))
    assert job.status == "done"
    assert job.warnings == (Notice("RETRIES_EXHAUSTED", "away"),)


def test_a_failed_burn_keeps_the_subtitles() -> None:
    job = fold(history(requested(**FULL), ready(), uploaded(), transcribed(), BurnFailed(code="X", message="y")))
    assert (job.status, job.subtitles is not None, len(job.warnings)) == ("done", True, 1)


def test_warnings_of_the_transcription_reach_the_job() -> None:
    job = fold(history(requested(with_subtitles=True), ready(), uploaded(), transcribed(warnings=(Notice("NO_SPEECH", "silent"),))))
    assert job.warnings == (Notice("NO_SPEECH", "silent"),)


def test_a_failed_job_stays_failed_whatever_a_zombie_says() -> None:
    job = fold(history(requested(), ready(), failed(), uploaded()))
    assert (job.status, job.clip) == ("failed", None)


def test_a_failed_job_says_why_and_what_to_do() -> None:
    assert fold(history(requested(), ready())).error is None
    plain = fold(history(requested(), failed())).error
    assert plain is not None
    assert (plain.code, plain.message, plain.hint) == (Code.SOURCE_UNREADABLE, "no video", HINTS[Code.SOURCE_UNREADABLE])
    own = fold(history(requested(), JobFailed(stage=RESOLVER, code="FROM_THE_FUTURE", message="…", hint="Wait."))).error
    assert own is not None
    assert (own.code, own.hint) == (Code.INTERNAL, "Wait.")


def test_a_cancelled_job_stays_cancelled() -> None:
    assert fold(history(requested(), JobCancelled(by="me"), ready(), uploaded())).status == "cancelled"


def test_a_job_that_is_done_can_not_be_cancelled() -> None:
    assert fold(history(requested(), ready(), uploaded(), JobCancelled(by="me"))).status == "done"


def test_an_expired_job_is_expired_even_when_only_that_is_left() -> None:
    assert fold(history(JobExpired())).status == "expired"


def replay_of(events: list[Envelope], stage: StageName, *, run: int = 2, source: str = "DLQ:12") -> Envelope:
    job_id = events[0].job_id
    return envelope(JobReplayed(stage=stage, by="me", source=source), job_id, id=replay_id(job_id, run), run=run)


def test_a_replay_takes_a_job_out_of_failed_and_into_a_new_run() -> None:
    events = history(requested(), ready(), failed())
    again = fold([*events, replay_of(events, CLIPPER)])
    assert (again.status, again.run, again.failure, again.replays) == ("processing", 2, None, {"DLQ:12": 2})
    assert again.answer_to(CLIPPER, 2) is None
    done = apply(again, envelope(uploaded(), events[0].job_id, run=2))
    assert done.status == "done"


def test_what_the_old_run_still_says_after_a_replay_changes_nothing() -> None:
    events = history(requested(), ready(), failed())
    again = fold([*events, replay_of(events, CLIPPER)])
    assert apply(again, envelope(uploaded(), events[0].job_id, run=1)).status == "processing"


def test_only_the_failed_stage_of_a_failed_job_can_be_replayed() -> None:
    events = history(requested(), ready(), failed())
    assert fold([*events, replay_of(events, RESOLVER)]).status == "failed"
    running = history(requested(), ready())
    assert fold([*running, replay_of(running, CLIPPER)]).run == 1


def test_a_replay_adds_subtitles_to_a_finished_job() -> None:
    events = history(requested(**FULL), ready(), uploaded(), AsrFailed(code="X", message="y"))
    again = fold([*events, replay_of(events, ASR)])
    assert (again.status, again.warnings) == ("processing", ())
    after = apply(apply(again, envelope(transcribed(), again.id, run=2)), envelope(burned(), again.id, run=2))
    assert (after.status, after.warnings) == ("done", ())


def test_attempts_count_starts_but_not_those_handed_back() -> None:
    job = fold(history(requested(), started(RESOLVER), retried(RESOLVER), started(RESOLVER), retried(RESOLVER, charged=False)))
    assert job.attempts_of(RESOLVER, 1) == 1


def test_the_cause_of_a_stage_travels_in_the_current_run() -> None:
    events = history(requested(), ready(), failed())
    job = fold([*events, replay_of(events, CLIPPER)])
    cause = cause_for(job, CLIPPER)
    assert cause is not None
    assert (cause.event, cause.run, cause.id) == (ready(), 2, answer_id(events[0].job_id, RESOLVER, 2))
    opening = cause_for(job, RESOLVER)
    assert opening is not None
    assert opening.id == request_id(events[0].job_id)
    assert cause_for(fold(history(requested())), CLIPPER) is None


def test_progress_speaks_of_the_stages_that_the_job_needs() -> None:
    plain = fold(history(requested(), ready(), StageProgress(stage=CLIPPER, progress=0.5)))
    full = fold(history(requested(**FULL), ready(), StageProgress(stage=CLIPPER, progress=0.5)))
    assert plain.progress > full.progress > 0


events_of_one_run = st.lists(
    st.sampled_from(
        [
            *(started(stage) for stage in StageName),
            *(retried(stage) for stage in StageName),
            *(retried(stage, charged=False) for stage in StageName),
            *(StageProgress(stage=stage, progress=p) for stage in StageName for p in (0.1, 0.9, 5.0, -1.0)),
            *(failed(stage) for stage in (RESOLVER, CLIPPER)),
            AsrFailed(code="X", message="y"),
            BurnFailed(code="X", message="y"),
            ready(),
            uploaded(),
            transcribed(),
            burned(),
            JobCancelled(by="me"),
            JobExpired(),
        ]
    ),
    max_size=12,
)

NEXT: dict[str, set[str]] = {
    "unknown": {"queued", "expired"},
    "queued": {"queued", "processing", "done", "failed", "cancelled", "expired"},
    "processing": {"processing", "done", "failed", "cancelled", "expired"},
    "done": {"done", "expired"},
    "failed": {"failed", "expired"},
    "cancelled": {"cancelled", "expired"},
    "expired": {"expired"},
}
"""The state diagram within one run; docs/job-states.md draws it."""


@given(events_of_one_run, st.booleans(), st.booleans())
def test_within_a_run_every_step_is_one_of_the_diagram(events: list, subtitles: bool, burn: bool) -> None:
    before = Job()
    for e in history(requested(with_subtitles=subtitles or burn, burn_subtitles=burn), *events):
        after = apply(before, e)
        assert after.status in NEXT[before.status]
        assert after.progress >= before.progress
        assert 0 <= after.progress <= 100
        assert (after.progress == 100) == (after.status == "done") or after.status == "expired"
        before = after


@given(events_of_one_run)
def test_an_event_that_comes_twice_counts_its_answer_once(events: list) -> None:
    job_id = uuid4()
    once = history(requested(**FULL), *events, job_id=job_id)
    job = fold(once)
    for (stage, run), answer in job.answers.items():
        later = envelope(failed(stage), job_id, run=run)
        assert apply(job, later).answer_to(stage, run) == answer


def test_cancelling_a_replayed_burn_in_keeps_the_clip_and_its_subtitles() -> None:
    events = history(
        requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), BurnFailed(code="X", message="x")
    )
    again = JobReplayed(stage=StageName.BURNER, by="me", source="DLQ:1")
    job = fold([*events, *(envelope(event, events[0].job_id, run=2) for event in (again, JobCancelled(by="me")))])
    assert (job.status, job.subtitles, [notice.code for notice in job.warnings]) == ("done", transcribed(), ["CANCELLED"])


def test_cancelling_a_replay_of_a_failed_job_cancels_the_job() -> None:
    events = history(requested(), ready(), JobFailed(stage=StageName.CLIPPER, code="X", message="x"))
    again = JobReplayed(stage=StageName.CLIPPER, by="me", source="DLQ:1")
    job = fold([*events, *(envelope(event, events[0].job_id, run=2) for event in (again, JobCancelled(by="me")))])
    assert job.status == "cancelled"


def test_a_start_is_at_work_until_its_own_end_is_heard_of() -> None:
    """A worker that was taken over says so late: that is no word on the one that took over."""
    first, second = started(StageName.CLIPPER, 1), started(StageName.CLIPPER, 2)
    events = history(requested(), ready(), first, second, retried(StageName.CLIPPER, 1, charged=False))
    job = fold(events)
    assert job.at_work == {StageName.CLIPPER: events[3]}
    assert job.attempts_of(StageName.CLIPPER, 1) == 1
    assert fold([*events, envelope(retried(StageName.CLIPPER, 2), events[0].job_id)]).at_work == {}
