"""Decoding what providers answer, as it really comes: words here, there or nowhere, and times that are none."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.asr.transcript import Transcript, UnreadableError, Word, as_written, decode


def decoded(answer: object, *, language: str = "auto", seconds: float = 10.0) -> Transcript:
    return decode(json.dumps(answer), provider="groq", model="m", language=language, seconds=seconds)


def texts(transcript: Transcript) -> list[str]:
    return [word.text for word in transcript.words]


def word(text: str, start: object, end: object) -> dict[str, object]:
    return {"word": text, "start": start, "end": end}


def test_words_at_the_top_level_get_the_punctuation_of_the_running_text():
    answer = {
        "language": "English",
        "duration": 2.5,
        "text": ' He said, "Twenty-first!" Then left.',
        "words": [
            word("He", 0, 0.2),
            word("said", 0.2, 0.6),
            word("Twenty", 0.7, 1),
            word("first", 1, 1.5),
            word("Then", 1.5, 2),
            word("left", 2, 2.4),
        ],
        "segments": None,
    }
    transcript = decoded(answer)
    assert texts(transcript) == ["He", "said,", '"Twenty-first!"', "Then", "left."]
    assert transcript.words[2] == Word('"Twenty-first!"', 0.7, 1.5)
    assert (transcript.language, transcript.audio_seconds) == ("en", 2.5)


def test_words_inside_segments_are_taken_from_there():
    answer = {
        "segments": [{"start": 1, "end": 3, "text": " Hello there.", "words": [word(" Hello", 1, 1.5), word(" there.", 1.5, 3)]}],
        "words": [],
    }
    assert decoded(answer).words == (Word("Hello", 1, 1.5), Word("there.", 1.5, 3))


def test_without_words_a_segments_time_is_spread_by_character_count():
    answer = {"text": "ab cdef", "segments": [{"start": 1, "end": 4, "text": "ab cdef", "words": None}]}
    assert decoded(answer).words == (Word("ab", 1, 2), Word("cdef", 2, 4))


def test_text_alone_is_spread_over_the_whole_audio():
    assert decoded({"text": "ab cd"}, seconds=8).words == (Word("ab", 0, 4), Word("cd", 4, 8))


def test_a_word_without_times_shares_the_gap_between_its_neighbours():
    answer = {"text": "a bb c", "words": [word("a", 0, 1), word("bb", None, None), word("c", 3, 4)]}
    assert decoded(answer).words == (Word("a", 0, 1), Word("bb", 1, 3), Word("c", 3, 4))


def test_text_beyond_the_last_word_is_not_lost():
    assert texts(decoded({"text": "one two three four", "words": [word("one", 0, 1), word("two", 1, 2)]})) == [
        "one",
        "two",
        "three",
        "four",
    ]


def test_words_that_are_not_those_of_the_text_stay_as_they_are():
    words = [Word("apples", 0, 1), Word("pears", 1, 2)]
    assert as_written(words, "something else", 2) == words


def test_chinese_words_stay_apart_though_no_space_parts_them():
    answer = {"segments": [{"start": 0, "end": 2, "text": "我们走。", "words": [word("我们", 0, 1), word("走。", 1, 2)]}]}
    assert texts(decoded(answer, language="zh")) == ["我们", "走。"]


def test_nan_and_infinity_are_read_as_no_time_and_reversed_times_are_turned():
    words = '[{"word":"a","start":NaN,"end":-1}, {"word":"b","start":3,"end":2}, {"word":"c","start":1e999,"end":null}]'
    body = f'{{"text": "a b c", "words": {words}}}'
    transcript = decode(body, provider="p", model="m", language="en", seconds=5)
    assert transcript.words == (Word("a", 0, 0), Word("b", 2, 3), Word("c", 3, 5))


def test_the_language_asked_for_stands_and_an_unknown_one_is_undetermined():
    assert decoded({"text": "hallo", "language": "English"}, language="de").language == "de"
    assert decoded({"text": "hallo", "language": "Klingon"}).language == "und"
    assert decoded({"text": "", "language": "English"}).language == "und"
    assert decoded({"text": "oy", "language": "jw"}).language == "jv"


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b"", b"\xff\xfe", b"null", b"[1]", b'{"error": {"message": "no"}}', b'{"text": "half', b"[" * 100_000]
)
def test_what_is_no_transcript_is_unreadable(body: bytes):
    with pytest.raises(UnreadableError):
        decode(body, provider="p", model="m", language="en", seconds=5)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["word", "text", "start", "end", "words"]), inner, max_size=4)
    ),
    max_leaves=12,
)
word_entries = st.fixed_dictionaries({}, optional=dict.fromkeys(("word", "text", "start", "end"), json_values))
segment_entries = st.fixed_dictionaries(
    {}, optional={"text": json_values, "start": json_values, "end": json_values, "words": st.lists(word_entries, max_size=5)}
)
answers = st.fixed_dictionaries(
    {"text": st.text()},
    optional={
        "words": st.lists(word_entries | json_values, max_size=6),
        "segments": st.lists(segment_entries | json_values, max_size=4),
        "language": json_values,
        "duration": json_values,
    },
)


@given(answers)
def test_any_answer_decodes_to_words_with_finite_times_in_order(answer: dict[str, object]):
    transcript = decoded(answer, seconds=7.0)
    for each in transcript.words:
        assert math.isfinite(each.start)
        assert math.isfinite(each.end)
        assert 0 <= each.start <= each.end
        assert each.text.strip() == each.text != ""
    assert math.isfinite(transcript.audio_seconds)


spoken = st.lists(
    st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=9).filter(lambda text: text.strip() == text),
    min_size=1,
    max_size=20,
)


@given(spoken, st.sampled_from([" ", "  ", " \u2013 ", ", "]))
def test_no_character_of_the_text_is_lost_by_writing_words_as_the_text_does(said: list[str], between: str):
    text = between.join(said)
    written = as_written([Word(each, n, n + 1) for n, each in enumerate(said)], text, len(said))
    assert "".join("".join(each.text.split()) for each in written) == "".join(text.split())
