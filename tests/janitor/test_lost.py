"""Lost messages that wait for room: their names, and whose turn it is."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.events import Priority
from libs.common.domain.lanes import FAIR
from services.janitor.lost import Lost, Waiting
from services.janitor.overdue import Deadlines
from tests.builders import envelope, history, ready, requested
from tests.fakes import NOW

DEADLINES = Deadlines(queued=30, attempt=600, margin=60)
PRIORITIES = st.sampled_from(Priority)


def lost(priority: Priority = Priority.NORMAL, waited: float = 100) -> Lost:
    return Lost(envelope(requested(), priority=priority), NOW - timedelta(seconds=waited), "id")


def waiting(room: int, found: list[Lost]) -> Waiting:
    waits = Waiting(room)
    for each in found:
        waits.add(each)
    return waits


@given(st.lists(st.tuples(PRIORITIES, st.integers(0, 10**6)), max_size=60), st.integers(-5, 70))
def test_as_many_as_there_is_room_for_go_and_the_longest_waiting_of_each_lane_first(found: list[tuple[Priority, int]], room: int) -> None:
    all_lost = [lost(*each) for each in found]
    waits = waiting(room, all_lost)
    gone = list(waits.in_turn())
    assert len(gone) == min(max(room, 0), len(found))
    assert len({id(each) for each in gone}) == len(gone)
    for priority in Priority:
        taken = [each.since for each in gone if each.cause.priority is priority]
        assert taken == sorted(each.since for each in all_lost if each.cause.priority is priority)[: len(taken)]
    assert waits.added == len(found)


def test_every_lane_has_its_turn() -> None:
    gone = waiting(2 * FAIR, [lost(priority) for priority in Priority for _ in range(2 * FAIR)]).in_turn()
    assert Counter(each.cause.priority for each in gone) == {Priority.FAST: 12, Priority.NORMAL: 2, Priority.BULK: 2}


@given(st.lists(st.integers(0, 10**6), min_size=50, max_size=200))
def test_no_more_is_kept_than_could_go(waited: list[int]) -> None:
    waits = waiting(5, [lost(waited=seconds) for seconds in waited])
    assert len(waits.lanes[Priority.NORMAL]) < 10


def test_a_message_is_named_for_its_silence_and_never_like_the_one_that_was_lost() -> None:
    [cause, last] = history(requested(), ready())

    def name(seconds: float, **of: object) -> str:
        given = {"cause": cause, "last": last, "deadlines": DEADLINES} | of
        return Lost.of(now=last.at + timedelta(seconds=seconds), **given).message_id

    assert name(31) == name(59)
    assert len({name(31), name(60), name(31, last=cause), name(31, cause=last), f"{cause.job_id}:clips.requested:1"}) == 5
