"""Words to cues: the limits, the breaks, and that nothing said is ever lost, whatever the times are."""

import sys
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.asr.cues import Cue, cues
from services.asr.rules import HORIZONTAL, LONGEST, VERTICAL, Layout, columns
from services.asr.transcript import Word
from tests.asr.speaking import any_seconds, any_words, orderly_words, said, text_of, text_said


def lines(text: str, *, pace: float = 0.3, layout: Layout = HORIZONTAL, language: str = "en") -> list[tuple[str, ...]]:
    return [cue.lines for cue in cues(said(text, pace=pace), 100.0, layout, language=language)]


def test_no_words_make_no_cues():
    assert cues([], 10.0) == ()


def test_start_is_rounded_down_and_end_up_to_the_millisecond():
    (cue,) = cues([Word("Hello", 1.0019, 2.0011)], 5.0)
    assert (cue.start, cue.end) == (1001, 2002)
    (cue,) = cues([Word("Hello", 1.001, 2.001)], 5.0)
    assert (cue.start, cue.end) == (1001, 2001), "1.001 * 1000 is a little less than 1001"


def test_a_cue_holds_the_words_of_each_line_with_their_times():
    words = said("It was the age of foolishness, it was the epoch of belief.")
    (cue,) = cues(words, 10.0, language="en")
    assert cue.lines == ("It was the age of foolishness,", "it was the epoch of belief.")
    assert cue.words == (tuple(words[:6]), tuple(words[6:]))


def test_a_cue_breaks_at_a_sentences_end():
    assert lines("It was the best of times. It was the worst of times.") == [
        ("It was the best of times.",),
        ("It was the worst of times.",),
    ]


def test_a_cue_breaks_at_a_silence():
    shown = cues([*said("We went"), *said("home again", start=2.0)], 10.0)
    assert [cue.lines for cue in shown] == [("We went",), ("home again",)]


def test_a_title_is_no_sentences_end():
    assert lines("Then we all went to the house of old Mr. Jones and his wife.") == [
        ("Then we all went to the house", "of old Mr. Jones and his wife.")
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "We walked for hours | along the old river towards a village."),
        ("de", "Wir liefen lange am Fluss entlang | und sahen dann das kleine Dorf."),
        ("fr", "Nous marchions depuis longtemps | dans la vieille ville de Lyon."),
        ("es", "Caminamos mucho tiempo junto al río | y vimos luego la aldea pequeña."),
        ("und", "Wy rûnen lang by de rivier lâns, | en seagen doe it lytse doarp."),
    ],
)
def test_a_line_breaks_before_a_preposition_or_conjunction_or_after_punctuation(language: str, text: str):
    assert lines(text.replace("| ", ""), language=language) == [tuple(text.split(" | "))]


def test_neither_an_article_nor_a_surname_begins_a_line_alone():
    text = "Yesterday evening we were all reading about the Charles Dickens who had written the tale about the two cities there."
    for shown in (lines(text), lines(text, layout=VERTICAL)):
        flat = [line for cue in shown for line in cue]
        assert not any(line.endswith((" the", "Charles")) for line in flat)


def test_a_vertical_picture_has_narrower_lines():
    assert all(len(line) <= 22 for cue in lines("We had everything before us, we had nothing before us.", layout=VERTICAL) for line in cue)


def test_chinese_takes_two_columns_a_character_and_no_line_begins_with_its_punctuation():
    words = [
        Word(text, n * 0.4, n * 0.4 + 0.4)
        for n, text in enumerate(["我们", "昨天", "在", "河边", "看见", "孩子们", ",", "他们", "很", "高兴", "。"] * 3)
    ]
    shown = [line for cue in cues(words, 30.0, language="zh") for line in cue.lines]
    assert all(columns(line) <= 42 and " " not in line and line[0] not in ",。" for line in shown)


def test_japanese_given_by_characters_is_parted_after_a_particle_and_not_within_a_word_in_katakana():
    text = "私たちは昨日の午後に駅前の小さなレストランでコーヒーを飲みながら話しました"
    words = [Word(char, n * 0.2, n * 0.2 + 0.2) for n, char in enumerate(text)]
    shown = [line for cue in cues(words, 10.0, language="ja") for line in cue.lines]
    assert shown == ["私たちは昨日の午後に駅前の小さな", "レストランでコーヒーを飲みながら話しました"]


def test_a_sentence_given_as_one_word_is_parted_at_its_punctuation():
    word = Word("今天天气很好、我们一起去河边散步、晚上再回家吃饭、然后早点睡觉。", 0.0, 9.0)
    shown = [line for cue in cues([word], 10.0, language="zh") for line in cue.lines]
    assert shown == ["今天天气很好、我们一起去河边散步、", "晚上再回家吃饭、然后早点睡觉。"]


def test_a_word_longer_than_a_line_is_parted_and_joined_without_a_space():
    shown = cues(said(f"one {'x' * 500} two", pace=8.0), 30.0)
    assert text_of(shown) == f"one{'x' * 500}two"
    assert all(len(line) <= 42 for cue in shown for line in cue.lines)
    assert not any("x x" in line for cue in shown for line in cue.lines)


def test_direction_is_that_of_most_letters():
    assert [cue.direction for cue in cues([Word("שלום iPhone עולם", 0, 1), Word("Hello", 5, 6)], 9.0)] == ["rtl", "ltr"]


def test_a_short_cue_is_held_where_there_is_room_and_never_past_the_clip():
    (held,) = cues([Word("Yes.", 1.0, 1.2)], 10.0)
    assert (held.start, held.end) == (1000, 1834)
    (last,) = cues([Word("Yes.", 9.9, 12.0)], 10.0)
    assert (last.start, last.end) == (9900, 10_000)


def test_cues_are_two_of_the_clips_own_frames_apart():
    words = [*said("Ever tried, ever failed, no matter."), *said("Try again, fail again, fail better.", start=2.0)]
    before, after = cues(words, 10.0, frame=1001 / 24_000)
    assert after.start - before.end == 84


def test_words_that_all_come_at_once_share_the_time_that_there_is():
    shown = cues([Word(text, 1.0, 1.0) for text in ("We had everything before us. " * 6).split()], 30.0, language="en")
    assert all(cue.end - cue.start >= 834 for cue in shown)


def test_a_clip_of_fewer_milliseconds_than_cues_shows_longer_lines():
    shown = cues(said("xxxx. " * 200), 0.003)
    assert [(cue.start, cue.end) for cue in shown] == [(0, 1), (1, 2), (2, 3)]
    assert text_of(shown) == "xxxx." * 200


@given(any_words | orderly_words, any_seconds, st.sampled_from([HORIZONTAL, VERTICAL]), st.sampled_from(["en", "de", "ja", "und"]))
@example([Word("a.", 0, 9), Word("b.", 0, 9)], 0.05, HORIZONTAL, "en")
@example([Word("x" * 500, float("nan"), -1)], 120.0, HORIZONTAL, "en")
def test_cues_keep_every_word_and_every_hard_rule(words: list[Word], seconds: float, layout: Layout, language: str):
    shown = cues(words, seconds, layout, language=language)
    assert text_of(shown) == text_said(words)
    for cue in shown:
        assert 0 <= cue.start < cue.end <= seconds * 1000 + 0.001
        assert cue.end - cue.start <= LONGEST
        assert cue.lines == tuple(line.strip() for line in cue.lines)
        assert _fits(cue, layout) or len(shown) == int(seconds * 1000)
    assert all(before.end <= after.start for before, after in pairwise(shown))


def _fits(cue: Cue, layout: Layout) -> bool:
    return len(cue.lines) <= 2 and all(columns(line) <= layout.columns for line in cue.lines)


@given(orderly_words, any_seconds)
def test_no_cue_is_shown_before_its_first_word(words: list[Word], seconds: float):
    assert all(cue.start <= cue.words[0][0].start * 1000 for cue in cues(words, 61.0))
    inside = [cue for cue in cues(words, seconds) if cue.words[0][0].start < seconds - 0.2]
    assert all(cue.start >= int(round(cue.words[0][0].start * 1000, 3)) for cue in inside)


@pytest.mark.parametrize("text", ["word", "字", *(pytest.param(text, marks=pytest.mark.thorough) for text in ("กา", "x", "end."))])
def test_many_words_are_parted_by_work_that_grows_with_them(text: str):
    words = [Word(text, n * 0.3, n * 0.3 + 0.3) for n in range(3000)]
    assert _lines_for(words) < 8 * _lines_for(words[:500])


def _lines_for(words: list[Word]) -> int:
    """Lines of Python that are run, each turn of a loop one of them: no clock says as much on a busy machine."""
    lines = 0

    def count(_frame: object, event: str, _: object) -> object:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)  # type: ignore[arg-type]
    try:
        parted = cues(words, 3000.0, language="en")
    finally:
        sys.settrace(before)
    assert text_of(parted) == "".join(word.text for word in words)
    return lines
