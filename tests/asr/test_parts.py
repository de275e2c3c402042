"""Where a recording is cut, and how its parts' transcripts become one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.asr.parts import Part, joined, parts
from services.asr.transcript import Transcript, Word

RATE = 100


def loud_but_for(seconds: float, *pauses: tuple[float, float]) -> list[int]:
    return [0 if any(start <= n / RATE < end for start, end in pauses) else 1000 for n in range(round(seconds * RATE))]


@given(st.lists(st.integers(-50, 32767), max_size=3000), st.floats(0.5, 40), st.floats(0.4, 50))
def test_the_parts_are_the_whole_without_gap_or_overlap_and_none_is_too_long(loudness: list[int], seconds: float, longest: float):
    cut = parts(loudness, RATE, seconds, longest)
    assert (cut[0].start, cut[-1].end) == (0.0, seconds)
    assert all(one.end == other.start for one, other in pairwise(cut))
    assert all(0 < part.end - part.start <= longest + 1e-9 for part in cut)


def test_a_recording_is_cut_in_its_pauses():
    pauses = [(15.0, 15.5), (33.0, 33.4), (47.0, 48.0)]
    cut = parts(loud_but_for(60, (13.9, 14.0), *pauses), RATE, 60, 20)
    assert len(cut) == 4
    assert all(start + 0.14 <= part.end <= end - 0.14 for part, (start, end) in zip(cut, pauses, strict=False))


def test_without_a_pause_it_is_cut_where_it_is_least_loud():
    loudness = loud_but_for(30)
    loudness[1500:1540] = [400] * 40
    assert parts(loudness, RATE, 30, 18)[0].end == pytest.approx(15.2, abs=0.06)


def said(language: str, *words: tuple[str, float, float]) -> Transcript:
    return Transcript(language=language, words=tuple(Word(*word) for word in words), provider="p", model="m", audio_seconds=1.0)


def test_the_parts_words_have_the_times_of_the_whole_and_stay_in_their_part():
    first = said("und")
    second = said("de", ("eins", 0.5, 1.0), ("zwei", 9.0, 11.5))
    third = said("en", ("one", 0.0, 0.25))
    whole = joined([(Part(0, 10), first), (Part(10, 20), second), (Part(20, 25), third)], 25.0)
    assert [(word.text, word.start, word.end) for word in whole.words] == [
        ("eins", 10.5, 11.0),
        ("zwei", 19.0, 20.0),
        ("one", 20.0, 20.25),
    ]
    assert (whole.language, whole.audio_seconds) == ("de", 25.0)
