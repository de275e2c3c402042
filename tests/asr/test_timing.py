"""Times that a recogniser may give, made such that they can be relied on; and how long a cue is shown."""

import math
from itertools import pairwise

from hypothesis import given

from services.asr.cleaning import clean
from services.asr.timing import settled, shown_until
from services.asr.transcript import Word
from tests.asr.speaking import any_seconds, any_words, said, text_said

NOWHERE = float("nan")


def test_words_in_order_stay_as_they_are():
    words = said("We went home.")
    assert settled(words, 10.0) == words


def test_words_without_times_share_those_of_the_word_before_them_at_a_readable_pace():
    words = settled([Word("one", 1.0, 1.2), Word("two", NOWHERE, NOWHERE), Word("three", math.inf, math.inf), Word("four", 8.0, 8.5)], 10.0)
    assert [round(word.start, 2) for word in words] == [1.0, 1.24, 1.47, 8.0]
    assert words[2].end <= 2.0


def test_a_word_past_the_clip_does_not_take_the_next_with_it():
    words = settled([Word("one", 1.0, 1.5), Word("two", 99.0, 99.5), Word("three", 2.0, 2.5)], 10.0)
    assert words[2].start == 2.0
    assert 1.0 < words[1].start < 2.0


def test_a_word_ends_where_the_next_begins():
    assert [word.end for word in settled([Word("one", 1.0, 5.0), Word("two", 2.0, 1.0)], 10.0)] == [2.0, 2.0]


@given(any_words, any_seconds)
def test_settled_words_are_all_there_in_order_within_the_clip_and_none_is_earlier(words: list[Word], seconds: float):
    found = settled(words, seconds)
    assert "".join(word.text for word in found) == text_said(words)
    assert all(word.text for word in found)
    flat = [time for word in found for time in (word.start, word.end)]
    assert all(later - earlier > -1e-9 for earlier, later in pairwise([0.0, *flat, seconds]))
    if all(len(clean(word.text).split()) == 1 for word in words):
        assert all(now.start >= was.start for now, was in zip(found, words, strict=True) if was.start <= seconds)


def shown(spoken: int, width: int, following: int | None = None, until: int = 100_000) -> int:
    """From 0 on, with a gap of 80 ms."""
    return shown_until(0, spoken, width, following, until, 80)


def test_a_cue_is_held_to_be_read_comfortably_but_half_a_second_past_speech_at_most():
    assert shown(2000, 20) == 2000, "10 columns a second as it is"
    assert shown(2000, 33) == 2200, "15 a second"
    assert shown(2000, 40) == 2500, "16"


def test_a_cue_is_held_longer_for_the_shortest_time_or_the_reading_speed():
    assert shown(200, 4) == 834
    assert shown(2000, 60) == 3000, "20 a second"
    assert shown(2000, 61, until=2500) == 2500


def test_a_small_gap_is_closed_to_two_frames_and_another_is_left_as_wide():
    assert shown(2000, 20, following=2499) == 2419
    assert shown(2000, 20, following=2500) == 2000
    assert shown(2000, 40, following=2800) == 2300
    assert shown(2000, 20, following=2000) == 1920


def test_no_cue_is_shown_longer_than_seven_seconds():
    assert shown(9000, 20) == 7000
