"""What is tried again, when, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import HINTS, Code, Failure, classify
from libs.common.domain.retry import GiveUp, RetryPolicy, TryLater, verdict_on

POLICY = RetryPolicy(max_attempts=3, base=1.0, ceiling=60.0)


def test_a_passing_failure_is_tried_again_until_the_attempts_are_spent() -> None:
    away = Failure(Code.RETRYABLE_ERROR, "away")
    assert verdict_on(away, 1, POLICY, 0.5) == TryLater(away, 0.5)
    assert verdict_on(away, 2, POLICY, 0.5) == TryLater(away, 1.0)
    last = verdict_on(away, 3, POLICY, 0.5)
    assert isinstance(last, GiveUp)
    assert last.failure.code is Code.RETRIES_EXHAUSTED
    assert "away" in last.failure.message


def test_a_fatal_failure_is_given_up_at_once_under_its_own_code() -> None:
    bad = Failure(Code.SOURCE_UNREADABLE, "no video")
    assert verdict_on(bad, 1, POLICY, 0.5) == GiveUp(bad)


def test_a_provider_that_says_when_to_come_back_is_believed_and_costs_no_attempt() -> None:
    busy = Failure(Code.RATE_LIMITED, "later", retry_after=90, charged=False)
    assert verdict_on(busy, 3, POLICY, 0.5) == TryLater(busy, 90)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_the_back_off_is_never_longer_than_its_ceiling(attempt: int, chance: float) -> None:
    assert 0 <= POLICY.delay(attempt, chance) <= POLICY.ceiling


@pytest.mark.parametrize("error", [ValueError("the password is hunter2"), KeyError("x"), RuntimeError()])
def test_an_unknown_error_is_internal_and_keeps_its_details_inside(error: Exception) -> None:
    failure = classify(error)
    assert failure.code is Code.INTERNAL
    assert "hunter2" not in failure.message


def test_every_code_says_what_to_do() -> None:
    assert set(HINTS) == set(Code)
