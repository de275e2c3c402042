"""How clients write times."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.timecode import LATEST, milliseconds

times = st.integers(min_value=0, max_value=LATEST)


def clock(ms: int) -> str:
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


@given(times)
def test_every_way_to_write_a_time_keeps_its_milliseconds(ms: int) -> None:
    hours, minutes, seconds = ms // 3600000, ms // 60000 % 60, f"{ms // 1000 % 60}.{ms % 1000:03}"
    ways = (clock(ms), f"{ms // 60000}:{ms // 1000 % 60:02}.{ms % 1000:03}", f"{ms / 1000:.3f}", ms / 1000, f"{hours}h{minutes}m{seconds}s")
    assert [milliseconds(way) for way in ways] == [ms] * len(ways)


@given(st.text() | st.floats() | st.from_regex(r"[-0-9:.hmse+ ]{0,20}"))
def test_whatever_is_written_is_a_time_or_a_refusal(written: str | float) -> None:
    with suppress(ValueError):
        assert 0 <= milliseconds(written) <= LATEST


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("1m30s", 90_000),
        ("1h", 3_600_000),
        ("2.25s", 2250),
        ("90:00", 5_400_000),
        (" 12.5 ", 12_500),
        ("2.6399999999999997", 2640),
        ("01:02:03.004", 3_723_004),
        ("0:00", 0),
        (0, 0),
        (1.0004, 1000),
        ("1.0006", 1001),
    ],
)
def test_times_as_people_write_them(written: str | float, ms: int) -> None:
    assert milliseconds(written) == ms


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "-1", "-0:01", "+5", "1e3", "nan", "inf", "1,5", "1:2", "00:60", "1:60:00", "1:00:60", "0:90:00", "1:2:3:4", "s", "5x"),
        *("\u0663", "\uff11\uff12", "1_000", "0x10", "12:34:5\uff16", "99999999999"),
        *(-0.001, math.nan, math.inf, -math.inf, 360_000.0, 1e300),
    ],
)
def test_what_is_no_time_is_refused(written: str | float) -> None:
    with pytest.raises(ValueError, match=r"time|minutes"):
        milliseconds(written)
