"""Whether there is room for another job, and when: the decisions alone."""

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import StageName
from libs.common.domain.worker_reports import SILENT_AFTER, WorkerReport
from libs.common.runtime.stored_messages import Fill
from services.api.load import FIRST_GUESS, LATEST, MOST_WORKERS, SOONEST, Crews, Sample, seconds_until_room

CLIPPER, ASR = StageName.CLIPPER, StageName.ASR
SAMPLES = st.lists(st.builds(Sample, st.floats(0, 1e6), st.integers(-(10**6), 10**6), st.integers(0, 10**6)), max_size=5)


def said(worker: str, *, full: bool) -> WorkerReport:
    return WorkerReport(worker=worker, in_hand=0, places=4, scratch_free_mb=1, scratch_used_mb=1, full=full)


@given(SAMPLES.map(lambda found: sorted(found, key=lambda sample: sample.at)), st.integers(-(10**6), 0))
def test_the_wait_is_never_shorter_than_a_second_nor_longer_than_a_minute(samples: list[Sample], room: int) -> None:
    assert SOONEST <= seconds_until_room(samples, room) <= LATEST


@given(st.integers(-(10**4), 0), st.integers(1, 100), st.integers(0, 100))
def test_the_wait_follows_the_pace_of_the_queue_whatever_was_taken_on_meanwhile(room: int, pace: int, taken: int) -> None:
    samples = [Sample(0, room, 0), Sample(10, room + 10 * pace - taken, taken)]
    assert seconds_until_room(samples, room) == min(LATEST, max(SOONEST, (1 - room) / pace))


def test_a_queue_that_does_not_move_makes_clients_wait_longer_and_longer() -> None:
    waits = [seconds_until_room([Sample(0, 0, 5), Sample(lasted, -1, 5)], 0) for lasted in (1, 20, 500)]
    assert waits == [FIRST_GUESS, 20, LATEST]
    assert seconds_until_room([], 0) == FIRST_GUESS


def test_a_stage_is_full_when_every_worker_of_it_is() -> None:
    crews = Crews()
    crews.hear(CLIPPER, said("a", full=True), 0)
    crews.hear(ASR, said("a", full=False), 0)
    assert crews.full(1) == [CLIPPER]
    crews.hear(CLIPPER, said("b", full=False), 1)
    assert crews.full(1) == []
    crews.hear(CLIPPER, said("b", full=True), 2)
    assert crews.full(2) == [CLIPPER]


def test_a_worker_that_says_nothing_more_is_forgotten() -> None:
    crews = Crews()
    crews.hear(CLIPPER, said("full and then killed", full=True), 0)
    assert crews.full(SILENT_AFTER - 0.1) == [CLIPPER]
    assert crews.full(SILENT_AFTER) == []
    assert crews.heard == {}


def test_no_flood_of_names_fills_the_memory() -> None:
    crews = Crews()
    crews.heard = {(CLIPPER, str(n)): (0.0, True) for n in range(MOST_WORKERS)}
    crews.hear(CLIPPER, said("one more", full=False), 0)
    crews.hear(CLIPPER, said("7", full=False), 0)
    assert len(crews.heard) == MOST_WORKERS
    assert crews.heard[CLIPPER, "7"] == (0, False)


def test_the_streams_own_limits_count_before_the_mark_when_they_are_nearer() -> None:
    assert Fill(messages=10).room(500, 0.8) == 490
    assert Fill(messages=10, size=1000, most_messages=20, most_size=10_000).room(500, 0.8) == 6
    assert Fill(messages=10, size=1000, most_messages=200, most_size=1500).room(500, 0.8) == 2
    assert Fill(messages=10, size=2000, most_size=1500).room(500, 0.8) == -4
    assert Fill(most_size=1500).room(500, 0.8) == 500
