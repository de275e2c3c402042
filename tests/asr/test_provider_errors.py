"""Retry-After in all its forms; what each status means is shown against the fake server in test_groq.py."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.asr.provider_errors import LONGEST_PAUSE, failure_of, seconds_of

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 1.0),
        ("7", 7.0),
        ("0", 1.0),
        ("-3", 1.0),
        ("nan", None),
        ("1e300", 86_400.0),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None):
    assert seconds_of(header, NOW) == seconds


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str):
    seconds = seconds_of(header, NOW)
    assert seconds is None or 1 <= seconds <= LONGEST_PAUSE


@given(st.integers(300, 999), st.none() | st.text(max_size=10))
def test_every_status_is_a_failure_and_none_costs_the_attempts_but_what_is_ours(status: int, header: str | None):
    failure = failure_of(status, header, NOW)
    assert failure.charged is (status != 429)
    assert failure.retryable is (status not in {400, 401, 403, 404, 413} and (status // 100 != 4 or status in {408, 409, 429, 498}))
