"""Words to cues to SRT: the limits, and that nothing said is ever lost, whatever the times are."""

import unicodedata
from itertools import pairwise

import pysubs2
from hypothesis import example, given
from hypothesis import strategies as st

from services.asr.subtitles import CUE_SECONDS, LINE_CHARACTERS, Cue, clean, cues, joined, srt
from services.asr.transcript import Word, spread
from tests.asr.subrip import parsed


def text_of(shown: tuple[Cue, ...]) -> str:
    return "".join("".join(" ".join(cue.lines).split()) for cue in shown)


def said(text: str, *, start: float = 0.0, pace: float = 0.3) -> list[Word]:
    words = text.split()
    return [Word(word, start + n * pace, start + (n + 1) * pace) for n, word in enumerate(words)]


def test_no_words_make_an_empty_file():
    assert cues([], 10.0) == ()
    assert srt(()) == ""


def test_a_file_reads_as_subrip():
    file = srt(cues([Word("Hello", 0.5, 1.0), Word("there.", 1.0, 1.75), Word("Bye.", 3.0, 4.0)], 5.0))
    assert file == "1\n00:00:00,500 --> 00:00:01,750\nHello there.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n\n"


def test_start_is_rounded_down_and_end_up_to_the_millisecond():
    (cue,) = cues([Word("Hello", 1.0019, 2.0011)], 5.0)
    assert (cue.start, cue.end) == (1001, 2002)
    (cue,) = cues([Word("Hello", 1.001, 2.001)], 5.0)
    assert (cue.start, cue.end) == (1001, 2001), "1.001 * 1000 is a little less than 1001"


def test_a_cue_breaks_at_a_sentences_end():
    shown = cues(said("It was the best of times. It was the worst of times."), 10.0)
    assert [cue.lines for cue in shown] == [("It was the best of times.",), ("It was the worst of times.",)]


def test_a_cue_breaks_at_a_silence():
    shown = cues([*said("We went"), *said("home again", start=2.0)], 10.0)
    assert [cue.lines for cue in shown] == [("We went",), ("home again",)]


def test_a_sentence_too_short_to_read_stays_with_the_next():
    assert [cue.lines for cue in cues(said("Mr. Jones came home."), 10.0)] == [("Mr. Jones came home.",)]


def test_a_long_sentence_is_parted_at_its_clauses():
    text = "some of its noisiest authorities insisted on its being received, for good or for evil, in the superlative degree of comparison"
    shown = cues(said(text, pace=0.25), 20.0)
    assert [" ".join(cue.lines) for cue in shown] == [
        "some of its noisiest authorities insisted on its being received,",
        "for good or for evil, in the superlative degree of comparison",
    ]


def test_a_word_longer_than_a_line_stays_whole_and_alone():
    long = "x" * 60
    assert [cue.lines for cue in cues(said(f"one {long} two"), 10.0)] == [("one",), (long,), ("two",)]


def test_a_short_cue_is_held_where_there_is_room_and_never_past_the_clip():
    (held,) = cues([Word("Yes.", 1.0, 1.2)], 10.0)
    assert (held.start, held.end) == (1000, 1834)
    (last,) = cues([Word("Yes.", 9.9, 12.0)], 10.0)
    assert (last.start, last.end) == (9900, 10_000)


def test_words_of_broken_times_are_shown_all_the_same():
    nan, infinity = float("nan"), float("inf")
    shown = cues([Word("one", nan, nan), Word("two", -5, -9), Word("three", infinity, -infinity), Word("four", 2, 1)], 10.0)
    assert text_of(shown) == "onetwothreefour"


def test_what_a_player_takes_for_markup_is_defused():
    assert clean("a --> b") == "a → b"
    assert clean("{\\an8}hi") == "(/an8)hi"
    assert clean("<i>hi</i> I <3 you") == "\u2039i>hi\u2039/i> I <3 you"
    assert clean("one\r\n\r\n2\x00\u202e\ufeff\ttwo\u2028three") == "one 2 two three"


def test_text_is_compatibility_composed_and_keeps_its_joiners():
    assert clean("ﬁne cafe\u0301 \uff11\uff12") == "fine café 12"
    assert clean("می\u200cخواهم") == "می\u200cخواهم"  # noqa: RUF001  Persian


def test_chinese_is_joined_without_spaces():
    assert joined(["我们", "走", "吧", "OK", "?"]) == "我们走吧 OK ?"


def test_a_last_line_is_never_one_number_that_a_parser_takes_for_the_next_cue():
    words = said(f"{'y' * 40} 1984", pace=0.2)
    shown = cues(words, 10.0)
    assert "1984" in pysubs2.SSAFile.from_string(srt(shown), format_="srt")[-1].plaintext


any_text = st.text(st.characters(exclude_categories=[]), max_size=60) | st.sampled_from(
    ["-->", "\n\n", "1", "{x}", "\\N", "<b>", "word.", "one,", "我们走。", "x" * 50]
)
any_time = st.floats() | st.floats(-1, 130) | st.integers(-1, 130).map(float)
any_words = st.lists(st.builds(Word, any_text, any_time, any_time), max_size=40)
orderly_words = st.lists(st.text("abcdefg.,?", min_size=1, max_size=12), max_size=120).map(lambda texts: spread(" ".join(texts), 0.5, 60.0))
any_seconds = st.floats(0.05, 130)


@given(any_words | orderly_words, any_seconds)
@example([Word("a.", 0, 9), Word("b.", 0, 9)], 0.05)
def test_cues_keep_every_word_and_every_rule(words: list[Word], seconds: float):
    shown = cues(words, seconds)
    assert text_of(shown) == "".join("".join(clean(word.text).split()) for word in words)
    for cue in shown:
        assert 0 <= cue.start < cue.end <= seconds * 1000 + 0.001
        assert cue.end - cue.start <= CUE_SECONDS * 1000
        assert len(cue.lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS or (len(cue.lines) == 1 and " " not in line) for line in cue.lines)
    assert all(before.end <= after.start for before, after in pairwise(shown))


@given(any_words, any_seconds)
def test_the_file_parses_back_to_its_cues(words: list[Word], seconds: float):
    shown = cues(words, seconds)
    file = srt(shown)
    assert parsed(file) == list(shown)
    file.encode()
    again = pysubs2.SSAFile.from_string(file, format_="srt")
    assert [(line.start, line.end, line.plaintext) for line in again] == [(cue.start, cue.end, "\n".join(cue.lines)) for cue in shown]


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaning_is_done_once_and_leaves_no_control_character(text: str):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFKC", cleaned)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in cleaned)
    assert "-->" not in cleaned
