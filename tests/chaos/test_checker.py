"""The checker of histories: it passes what is exact, and names each way in which a history can be broken."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.common.domain.events import AnyEvent, AsrFailed, JobCancelled, JobExpired, JobFailed, JobReplayed, StageName
from tests.builders import burned, envelope, ready, requested, retried, started, transcribed, uploaded
from tests.chaos.checker import Evidence, Expected, Letter, Row, judged

JOB = uuid4()
CLIP, SOURCE = f"results/{JOB}/clip.mp4", f"sources/{JOB}/source.mp4"
DONE = (
    requested(metadata={"n": "1"}),
    started(StageName.RESOLVER),
    ready(source_key=SOURCE, size=1000),
    started(StageName.CLIPPER),
    uploaded(video_key=CLIP, size=10),
)
FAILED = (
    requested(metadata={"n": "1"}),
    started(StageName.RESOLVER),
    JobFailed(stage=StageName.RESOLVER, code="SOURCE_UNREADABLE", message=""),
)
REFUSED = Expected(kind="garbage", statuses=frozenset({"failed"}), codes=frozenset({"SOURCE_UNREADABLE"}))


def rows(*events: AnyEvent, job_id: UUID = JOB, run: int = 1) -> list[Row]:
    made = [envelope(event, job_id, run=run) for event in events]
    return [Row(each.id, job_id, seq, each) for seq, each in enumerate(made, 1)]


def evidence(*events: AnyEvent, **found: Any) -> Evidence:
    given: dict[str, Any] = {
        "expected": {1: Expected(kind="clip", frames=50)},
        "accepted": {JOB: 1},
        "rows": rows(*(events or DONE)),
        "objects": {CLIP: 10, SOURCE: 1000},
    }
    return Evidence(**given | found)


def found_in(judged_on: Evidence) -> list[tuple[str, str]]:
    return [(problem.kind, problem.text) for problem in judged(judged_on).problems]


def test_an_exact_run_has_no_problems() -> None:
    finding = judged(evidence(frames={CLIP: 50}, served={CLIP: 10}))
    assert finding.problems == ()
    assert finding.charged == {}


def test_a_job_that_failed_as_it_had_to_has_its_one_dead_letter() -> None:
    failed = {"expected": {1: REFUSED}, "objects": {}}
    assert found_in(evidence(*FAILED, **failed, letters=[Letter(1, JOB, "resolver")])) == []
    assert found_in(evidence(*FAILED, **failed)) == [("lost", "0 dead letters of resolver instead of 1")]
    assert found_in(evidence(*FAILED, **failed, letters=[Letter(1, JOB, "resolver"), Letter(2, JOB, "resolver")])) == [
        ("duplicate", "2 dead letters of resolver instead of 1")
    ]


@pytest.mark.parametrize(("source", "letters"), [("DLQ:1", 0), ("CLIPS:9", 1)])
def test_a_replayed_letter_is_gone_and_one_published_by_hand_stays(source: str, letters: int) -> None:
    again = rows(JobReplayed(stage=StageName.RESOLVER, by="operator", source=source), *DONE[1:], run=2)
    history = [*rows(*FAILED), *(replace(row, seq=row.seq + 3) for row in again)]
    assert found_in(evidence(rows=history, letters=[Letter(1, JOB, "resolver")] * letters)) == []


def test_a_job_that_nobody_was_answered_about_is_known_by_its_number() -> None:
    assert found_in(evidence(accepted={})) == []
    assert found_in(evidence(accepted={}, expected={})) == [("orphan", "nobody submitted it")]


def test_charged_starts_are_those_beyond_the_first() -> None:
    events = (DONE[0], started(StageName.RESOLVER), retried(StageName.RESOLVER), *DONE[1:])
    assert judged(evidence(*events)).charged == {JOB: 1}
    handed_back = (DONE[0], started(StageName.RESOLVER), retried(StageName.RESOLVER, charged=False), *DONE[1:])
    assert judged(evidence(*handed_back)).charged == {}


def test_a_cancelled_job_may_leave_files_and_the_letter_of_a_failure_that_came_too_late() -> None:
    cancelled = Expected(kind="clip", statuses=frozenset({"done", "cancelled"}))
    letters = [Letter(1, JOB, "clipper")]
    assert found_in(evidence(*DONE[:4], JobCancelled(by="client"), expected={1: cancelled}, letters=letters)) == []


def test_an_expired_job_leaves_one_event_and_no_file() -> None:
    [row] = rows(JobExpired())
    expired = {"rows": [replace(row, seq=9)], "expected": {1: Expected(kind="clip", statuses=frozenset({"expired"}))}}
    assert found_in(evidence(**expired, objects={})) == []
    assert found_in(evidence(**expired)) == [("orphan", f"{key}: its job has expired") for key in (CLIP, SOURCE)]


ONCE = rows(*DONE)
BROKEN: dict[str, tuple[Evidence, tuple[str, str]]] = {
    "no event": (evidence(rows=[], objects={}), ("lost", "was answered with 202 and has no event")),
    "no end": (evidence(*DONE[:4]), ("stuck", "it is processing at clipper")),
    "another end": (evidence(expected={1: REFUSED}), ("lost", "a job of kind garbage ended done at clipper")),
    "a hole": (evidence(rows=[row for row in rows(*DONE) if row.seq != 2]), ("lost", "its events are numbered [1, 3, 4, 5]")),
    "two answers": (
        evidence(rows=[*rows(*DONE), Row(uuid4(), JOB, 6, envelope(uploaded(video_key=CLIP, size=10), JOB))]),
        ("duplicate", "2 answers of clipper in run 1"),
    ),
    "an event twice": (
        evidence(rows=[*ONCE, replace(ONCE[1], seq=6)]),
        ("duplicate", f"event {ONCE[1].event_id} has 2 rows"),
    ),
    "two jobs": (
        evidence(rows=[*rows(*DONE), *rows(*DONE, job_id=uuid4())]),
        ("duplicate", "submission 1 made 2 jobs"),
    ),
    "a fourth start": (
        evidence(DONE[0], *[started(StageName.RESOLVER)] * 4, *DONE[2:]),
        ("duplicate", "4 charged starts of resolver in run 1"),
    ),
    "no file": (evidence(objects={SOURCE: 1000}), ("lost", f"{CLIP} is not there")),
    "half a file": (evidence(objects={SOURCE: 1000, CLIP: 5}), ("lost", f"{CLIP} has 5 bytes instead of 10")),
    "a frame too few": (evidence(frames={CLIP: 49}), ("lost", f"{CLIP} has 49 frames instead of 50")),
    "a dead URL": (evidence(served={CLIP: -1}), ("lost", f"{CLIP}: its URL gave -1 bytes instead of 10")),
    "a file of nobody": (
        evidence(objects={CLIP: 10, SOURCE: 1000, "results/x/clip.mp4": 1}),
        ("orphan", "results/x/clip.mp4: of no job"),
    ),
    "a file too many": (
        evidence(objects={CLIP: 10, SOURCE: 1000, f"results/{JOB}/clip.srt": 1}),
        ("orphan", f"results/{JOB}/clip.srt: its job is done and does not name it"),
    ),
    "a fetched source of nobody": (
        evidence(objects={CLIP: 10, SOURCE: 1000, "sources/cache/x": 1}),
        ("orphan", "sources/cache/x: the source cache does not name it"),
    ),
    "a message left": (evidence(queued=["source.ready x"]), ("stuck", "still in CLIPS: source.ready x")),
    "a letter of a done job": (
        evidence(letters=[Letter(1, JOB, "clipper")]),
        ("duplicate", "1 dead letters of clipper instead of 0"),
    ),
    "a letter of nobody": (evidence(letters=[Letter(1, None, "clipper")]), ("orphan", "dead letter 1 is of no job")),
    "a process left": (evidence(orphans=["7: ffmpeg"]), ("orphan", "7: ffmpeg")),
    "a scratch folder left": (evidence(untidy=["scratch/x"]), ("orphan", "scratch/x")),
    "a warning": (
        evidence(
            requested(metadata={"n": "1"}, with_subtitles=True),
            *DONE[1:],
            AsrFailed(code="INTERNAL", message=""),
            letters=[Letter(1, JOB, "asr")],
        ),
        ("lost", "a job of kind clip ended done with ['INTERNAL']"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_history_is_named(name: str) -> None:
    broken, problem = BROKEN[name]
    assert problem in found_in(broken)


def test_every_file_that_an_answer_names_is_looked_for() -> None:
    srt, subbed = f"results/{JOB}/clip.srt", f"results/{JOB}/clip.subbed.mp4"
    events = (
        requested(metadata={"n": "1"}, with_subtitles=True, burn_subtitles=True),
        *DONE[1:],
        transcribed(srt_key=srt),
        burned(video_key=subbed),
    )
    assert set(found_in(evidence(*events))) == {("lost", f"{srt} is not there"), ("lost", f"{subbed} is not there")}
    assert found_in(evidence(*events, objects={CLIP: 10, SOURCE: 1000, srt: 1, subbed: 10})) == []
