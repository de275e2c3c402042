"""Files as two libraries that are not ours, pysubs2 and a strict reader of our own read them back."""

import io
import json

import pysubs2
import pytest
import srt as independent_srt
import webvtt
from hypothesis import given

from services.asr import writers
from services.asr.cues import cues
from services.asr.timing import settled
from services.asr.transcript import Word
from tests.asr.speaking import any_seconds, any_words, said, text_said
from tests.asr.subrip import parsed

MARKS = str.maketrans("", "", "\u202b\u202c\u200f")
HEBREW = [Word("iPhone", 1.0, 1.5), Word("שלום", 1.5, 2.0), Word("עולם.", 2.0, 2.5)]


def test_nothing_said_makes_an_empty_valid_file_of_each_kind():
    assert writers.srt(()) == ""
    assert list(independent_srt.parse(writers.srt(()))) == []
    assert writers.vtt(()) == "WEBVTT\n\n"
    assert webvtt.from_buffer(io.StringIO(writers.vtt(()))).captions == []
    assert writers.text([]) == ""
    assert json.loads(writers.as_json("und", 5.0, (), [])) == {"language": "und", "duration": 5.0, "cues": [], "words": []}


def test_a_file_reads_as_subrip():
    file = writers.srt(cues([Word("Hello", 0.5, 1.0), Word("there.", 1.0, 1.75), Word("Bye.", 3.0, 4.0)], 5.0))
    assert file == "1\n00:00:00,500 --> 00:00:01,750\nHello there.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n\n"


def test_webvtt_escapes_what_it_would_take_for_markup_and_nothing_else_does():
    shown = cues(said("AT&T is <3 & 5>4"), 10.0)
    assert "AT&amp;T is &lt;3 &amp; 5&gt;4" in writers.vtt(shown)
    assert "AT&T is <3 & 5>4" in writers.srt(shown)


def test_right_to_left_lines_are_marked_as_each_format_needs_it():
    shown = cues(HEBREW, 5.0)
    assert "\n\u202biPhone שלום עולם.\u202c\n" in writers.srt(shown)
    assert "\n\u200fiPhone שלום עולם.\n" in writers.vtt(shown)
    assert json.loads(writers.as_json("he", 5.0, shown, HEBREW))["cues"][0]["direction"] == "rtl"
    assert writers.text(HEBREW) == "iPhone שלום עולם.\n"


def test_text_has_a_paragraph_for_what_a_long_pause_parts():
    assert writers.text([*said("We went home."), *said("And then?", start=3.0)]) == "We went home.\n\nAnd then?\n"


def test_json_has_words_by_line_and_all_of_them_in_seconds():
    words = said("We had everything before us, we had nothing before us.")
    document = json.loads(writers.as_json("en", 10.0, cues(words, 10.0, language="en"), words))
    (cue,) = document["cues"]
    assert [" ".join(word["word"] for word in line) for line in cue["words"]] == cue["lines"]
    assert (cue["start"], cue["end"], document["language"], document["duration"]) == (0.0, 3.5, "en", 10.0)
    assert document["words"][1] == {"word": "had", "start": 0.3, "end": 0.6}


def test_chinese_and_its_punctuation_are_joined_without_spaces():
    assert writers.text([Word(text, 0, 1) for text in ("我们", "走", "吧", "OK", "?")]) == "我们走吧 OK ?\n"
    assert writers.text([Word(text, 0, 1) for text in ("你好,", "世界", "!")]) == "你好,世界!\n"


def test_a_last_line_is_never_one_number_that_a_parser_takes_for_the_next_cue():
    shown = cues(said(f"{'y' * 40} 1984", pace=0.2), 10.0)
    assert "1984" in pysubs2.SSAFile.from_string(writers.srt(shown), format_="srt")[-1].plaintext


@given(any_words, any_seconds)
def test_subrip_parses_back_to_its_cues(words: list[Word], seconds: float):
    shown = cues(words, seconds)
    file = writers.srt(shown)
    expected = [(cue.start, cue.end, "\n".join(cue.lines)) for cue in shown]
    assert [(cue.start, cue.end, "\n".join(cue.lines).translate(MARKS)) for cue in parsed(file)] == expected
    assert [(_ms(cue.start), _ms(cue.end), cue.content.translate(MARKS)) for cue in independent_srt.parse(file)] == expected
    again = pysubs2.SSAFile.from_string(file, format_="srt")
    assert [(line.start, line.end, line.plaintext.translate(MARKS)) for line in again] == expected
    file.encode()


def _ms(time: object) -> int:
    return round(time.total_seconds() * 1000)


@given(any_words, any_seconds)
def test_webvtt_parses_back_to_its_cues(words: list[Word], seconds: float):
    shown = cues(words, seconds)
    read = webvtt.from_buffer(io.StringIO(writers.vtt(shown)))
    assert [(_stamp(cue.start), _stamp(cue.end), _unescaped(cue.raw_text).translate(MARKS)) for cue in read] == [
        (cue.start, cue.end, "\n".join(cue.lines)) for cue in shown
    ]


def _stamp(time: str) -> int:
    hours, minutes, seconds = time.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(seconds.replace(".", ""))


def _unescaped(text: str) -> str:
    """The three that WebVTT asks for; html.unescape would read more into a text."""
    assert "<" not in text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@given(any_words, any_seconds)
def test_text_and_json_hold_every_word(words: list[Word], seconds: float):
    ordered = settled(words, seconds)
    assert "".join(writers.text(ordered).split()) == text_said(words)
    document = json.loads(writers.as_json("und", seconds, cues(words, seconds), ordered))
    assert "".join(word["word"] for word in document["words"]) == text_said(words)


@pytest.mark.parametrize("format_", [writers.srt, writers.vtt])
def test_a_files_times_are_the_cues_to_the_millisecond(format_):
    assert "01:02:03" in format_(cues([Word("Late.", 3723.456, 3725.0)], 4000.0)).replace(",", ".")
