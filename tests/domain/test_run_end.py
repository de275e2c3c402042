"""What ended a job's run, and how long that run took: held against the fold, step by step."""

from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import AnyEvent, Envelope, JobCancelled, JobExpired, JobFailed, JobReplayed, Priority, StageName
from libs.common.domain.job import fold
from libs.common.domain.run_end import RunEnd, run_end
from tests.builders import burned, envelope, history, ready, requested, retried, started, transcribed, uploaded
from tests.fakes import NOW

FAILED = JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="no")


def test_a_clip_without_subtitles_ends_with_its_upload() -> None:
    past = history(requested(), ready(), uploaded())
    assert run_end(past, past[-1]) == RunEnd("done", 2.0, "none")
    assert run_end(past, past[1]) is None


def test_a_clip_with_subtitles_ends_with_them_and_says_that_they_were_asked_for() -> None:
    past = history(requested(with_subtitles=True), ready(), uploaded(), transcribed())
    assert run_end(past, past[2]) is None
    assert run_end(past, past[3]) == RunEnd("done", 3.0, "asked")


def test_the_lane_that_a_job_came_by_is_told_at_its_end() -> None:
    past = history(requested(), ready(), uploaded())
    past[0] = msgspec.structs.replace(past[0], priority=Priority.BULK)
    assert run_end(past, past[-1]) == RunEnd("done", 2.0, "none", Priority.BULK)


def test_what_comes_after_the_end_ends_nothing_again() -> None:
    past = history(requested(), ready(), JobCancelled(by="client"), uploaded(), JobExpired())
    assert [run_end(past, one) for one in past] == [None, None, RunEnd("cancelled", 2.0, "none"), None, None]


def test_a_replay_begins_a_run_of_its_own() -> None:
    past = history(requested(), ready(), FAILED)
    job_id, later = past[0].job_id, NOW + timedelta(hours=5)
    replay = JobReplayed(stage=StageName.CLIPPER, by="ada", source="DLQ:1")
    past.append(envelope(replay, job_id, run=2, at=later))
    past.append(envelope(uploaded(), job_id, run=2, at=later + timedelta(seconds=4)))
    assert run_end(past, past[2]) == RunEnd("failed", 2.0, "none")
    assert run_end(past, past[4]) == RunEnd("done", 4.0, "none")


def test_a_history_that_was_forgotten_meanwhile_ends_nothing() -> None:
    past = history(requested(), JobExpired())
    assert run_end(past[1:], past[1]) is None
    assert run_end([], past[1]) is None


EVENTS = st.sampled_from(
    [
        ready(),
        uploaded(),
        transcribed(),
        burned(),
        FAILED,
        JobCancelled(by="client"),
        JobExpired(),
        started(StageName.CLIPPER),
        retried(StageName.CLIPPER),
        JobReplayed(stage=StageName.CLIPPER, by="ada", source="DLQ:1"),
    ]
)


@given(st.lists(st.tuples(EVENTS, st.integers(1, 3)), max_size=12), st.booleans(), st.booleans())
def test_every_run_that_the_fold_calls_over_has_one_end_whatever_comes_when(
    rest: list[tuple[AnyEvent, int]], with_subtitles: bool, burn_subtitles: bool
) -> None:
    past: list[Envelope] = history(requested(with_subtitles=with_subtitles, burn_subtitles=burn_subtitles))
    past += [envelope(event, past[0].job_id, run=run, at=NOW + timedelta(seconds=n)) for n, (event, run) in enumerate(rest, 1)]
    past = list({one.id: one for one in past}.values())
    states = [fold(past[:n]) for n in range(len(past) + 1)]
    ends = [after.status for before, after in pairwise(states) if after.is_over and not before.is_over]
    found = [end for one in past if (end := run_end(past, one))]
    assert [end.outcome for end in found] == ends
    assert all(0 <= end.seconds <= len(rest) for end in found)
