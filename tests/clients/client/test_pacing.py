"""When something is tried again, and after how long."""

import random

from hypothesis import given
from hypothesis import strategies as st

from clipstream.answers import seconds_of
from clipstream.errors import UNREACHABLE, ClipstreamError
from clipstream.pacing import LONGEST, Pacing

ATTEMPTS = st.integers(0, 10_000)
LATEST = Pacing(dice=lambda _, most: most)


def error(code: str = "BACKPRESSURE", *, retryable: bool = True, after: float | None = None) -> ClipstreamError:
    return ClipstreamError(code, "", retryable=retryable, retry_after=after)


def test_the_pauses_double_up_to_the_longest() -> None:
    assert [Pacing(10, dice=lambda _, most: most).pause(error(), attempt) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


@given(ATTEMPTS, st.floats(0, LONGEST) | st.none(), st.integers())
def test_a_pause_is_never_shorter_than_was_asked_nor_much_longer(attempt: int, after: float | None, seed: int) -> None:
    pause = Pacing(attempt + 1, dice=random.Random(seed).uniform).pause(error(after=after), attempt)
    assert (after or 0) <= pause <= (after or 0) + 8


@given(ATTEMPTS, st.booleans())
def test_what_cannot_succeed_is_never_tried_again(attempt: int, repeatable: bool) -> None:
    refused = error("VALIDATION_FAILED", retryable=False)
    assert Pacing(20_000).pause(refused, attempt, repeatable=repeatable) is None


def test_what_may_have_happened_is_not_repeated_unless_that_is_harmless() -> None:
    assert LATEST.pause(error(UNREACHABLE), 0, repeatable=False) is None
    assert LATEST.pause(error(UNREACHABLE), 0) == 0.5
    assert LATEST.pause(error("RATE_LIMITED", after=1), 0, repeatable=False) == 1.5


def test_attempts_come_to_an_end_and_none_begin_where_there_are_to_be_none() -> None:
    assert [Pacing(2).pause(error(), attempt) is None for attempt in range(4)] == [False, False, True, True]
    assert Pacing(0).pause(error(), 0) is None


@given(st.text(max_size=12) | st.integers().map(str))
def test_a_retry_after_is_seconds_or_nothing(text: str) -> None:
    read = seconds_of(text)
    assert read is None or (read == int(text) and 0 <= read < 10**9)
