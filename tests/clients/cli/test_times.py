"""Times and ranges as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipstream.cli.times import LATEST, Range, clock, range_in, range_of, seconds_in, span
from services.api.timecode import milliseconds

MILLISECONDS = st.integers(0, LATEST * 1000 - 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:02:03.5", 3723.5),
        ("1:02:03,5", 3723.5),
        ("01:02:03.500", 3723.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("1M30S", 90.0),
        ("1:30", 90.0),
        ("90:00", 5400.0),
        (".5", 0.5),
        ("5.", 5.0),
        (".5s", 0.5),
        ("1h2m", 3720.0),
        ("1h0.25s", 3600.25),
        (" 7 ", 7.0),
        ("0.0004", 0.0),
    ],
)
def test_a_time_is_read_as_it_was_meant(text: str, seconds: float) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "1ms", "-3", "1:60", "1:60:00", "1:5", "1:2:3:4", "1e3", "inf", "nan", "½", "٣", "1m30", "0x10", "1 30", "..5", "1s2m"],
)
def test_what_is_no_time_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match=r"1:02:03\.5, 1m30s or 1h2m"):
        seconds_in(text)


@pytest.mark.parametrize("text", ["100:00:00", "99h60m", "360000", "359999.9999"])
def test_a_time_past_a_hundred_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"less than 100 hours|is no time"):
        seconds_in(text)


@given(MILLISECONDS)
def test_what_is_written_is_read_back_to_the_millisecond(thousandths: int) -> None:
    seconds = thousandths / 1000
    assert {seconds_in(form(seconds)) for form in (clock, span, "{:.3f}".format, "{:.3f}s".format)} == {seconds}


@given(MILLISECONDS)
def test_what_is_written_is_what_the_server_reads(thousandths: int) -> None:
    assert milliseconds(clock(thousandths / 1000)) == milliseconds(span(thousandths / 1000)) == thousandths


@given(st.text(st.sampled_from("0123456789:.,hms +-*"), max_size=14))
def test_any_word_is_a_time_within_the_limits_or_an_error_in_words(text: str) -> None:
    read = found_in(text)
    assert 0 <= read < LATEST if isinstance(read, float) else repr(text) in read


def found_in(text: str) -> float | str:
    try:
        return seconds_in(text)
    except ValueError as error:
        return str(error)


@given(st.integers(0, 10**8), st.integers(1, 10**8))
def test_a_range_is_the_same_in_one_word_in_two_and_as_a_length(begin: int, length: int) -> None:
    start, end = clock(begin / 1000), clock((begin + length) / 1000)
    forms = [range_of(start, end), range_of(start, f"+{clock(length / 1000)}"), range_in(f"{start}-{end}"), range_in(f"*{start}-{end}")]
    assert set(forms) == {Range(begin / 1000, (begin + length) / 1000)}


@pytest.mark.parametrize("text", ["10", "", "*", "10-", "-10", "10-5", "10-10", "10-+0", "10--5", "10-inf"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a|must be after"):
        range_in(text)
