"""From what a client sends to the transcript that is kept."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.edits import EditedCue, EditedTranscript
from libs.common.domain.failures import Code
from services.api.plain_text import plain
from services.api.requests import Refused
from services.api.subtitle_files import from_file
from services.api.transcripts import GivenCue, from_json, transcript
from services.asr.cues import Cue
from services.asr.transcript import Word
from services.asr.writers import as_json, srt, vtt


def kept(*cues: dict[str, Any], seconds: float = 10.0, **fields: Any) -> EditedTranscript:
    given, language = from_json(msgspec.json.encode({"cues": cues, **fields}))
    return transcript(given, seconds=seconds, language=language or "de")


def cue(start: float = 1, end: float = 2, **fields: Any) -> dict[str, Any]:
    return {"start": start, "end": end, **(fields or {"lines": ["Hello"]})}


def test_cues_are_kept_in_milliseconds() -> None:
    assert kept(cue(0, 1.0004), cue(1.001, 2.5, text="to\nyou"), language="EN") == EditedTranscript(
        "en", (EditedCue(0, 1000, ("Hello",)), EditedCue(1001, 2500, ("to", "you")))
    )


def test_the_language_stays_where_none_is_named() -> None:
    assert (kept().language, kept(language="haw").language, kept(language="und").language) == ("de", "haw", "und")


def test_text_is_cleaned_and_a_cue_of_nothing_left_out() -> None:
    assert kept(cue(lines=["  ﬁne\u0000\u202e words \t", "", "\u200b"]), cue(3, 4, lines=["\n"]), cue(5, 6, text="")).cues == (
        EditedCue(1000, 2000, ("fine words",)),
    )


def test_a_cue_may_outlast_the_clip_by_a_few_frames_and_ends_with_it() -> None:
    assert kept(cue(1, 2.1), seconds=2.0004).cues == (EditedCue(1000, 2001, ("Hello",)),)


@pytest.mark.parametrize(
    ("cues", "place", "problem"),
    [
        ([cue(2, 2)], "cues[0]", "end after it begins"),
        ([cue(), cue(3, 2.5)], "cues[1]", "end after it begins"),
        ([cue(), cue(1.5, 3)], "cues[1]", "begins before the one above it ends"),
        ([cue(3, 4), cue()], "cues[1]", "begins before the one above it ends"),
        ([cue(10, 10.05)], "cues[0]", "outside the clip, which lasts 10 s"),
        ([cue(9, 10.101)], "cues[0]", "outside the clip, which lasts 10 s"),
        ([cue(lines=["a" * 400, "b" * 101])], "cues[0]", "too long"),
        ([cue(text="a\n" * 7)], "cues[0]", "too long"),
        ([{"start": 1, "end": 2}], "cues[0]", "lines or text is required"),
        ([cue(lines=["Hello", "you"], text="Hello me")], "cues[0]", "say different things"),
    ],
)
def test_a_wrong_cue_is_named(cues: list[dict[str, Any]], place: str, problem: str) -> None:
    with pytest.raises(Refused) as refused:
        kept(*cues)
    assert (refused.value.field, refused.value.code) == ("cues", Code.VALIDATION_FAILED)
    assert place in refused.value.message
    assert problem in refused.value.message


def test_lines_and_text_may_both_be_there_when_they_agree() -> None:
    assert kept(cue(lines=["Hello,", "you"], text="Hello, you")).cues[0].lines == ("Hello,", "you")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (b"", None, Code.BAD_REQUEST),
        (b"WEBVTT", None, Code.BAD_REQUEST),
        (b"[]", None, Code.VALIDATION_FAILED),
        (b"{}", "cues", Code.VALIDATION_FAILED),
        (b'{"cues": [{"start": -1, "end": 2, "text": ""}]}', "cues", Code.VALIDATION_FAILED),
        (b'{"cues": [{"start": 1, "end": 1e300, "text": ""}]}', "cues", Code.VALIDATION_FAILED),
        (b'{"cues": [{"start": "1", "end": 2, "text": ""}]}', "cues", Code.VALIDATION_FAILED),
        (b'{"cues": [], "language": "english"}', "language", Code.VALIDATION_FAILED),
        (msgspec.json.encode({"cues": [cue()] * 2001}), "cues", Code.VALIDATION_FAILED),
    ],
)
def test_a_body_that_is_no_transcript_is_refused(body: bytes, field: str | None, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        from_json(body)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_a_cue_that_is_none_is_named_too() -> None:
    with pytest.raises(Refused, match=r"cues\[1\]\.start: Expected `float`, got `str`$"):
        from_json(msgspec.json.encode({"cues": [cue(), cue("soon", 3)]}))  # type: ignore[arg-type]


def test_a_file_has_no_more_cues_than_json() -> None:
    given = [GivenCue(f"line {n}", n, n + 1, ("a",)) for n in range(2001)]
    with pytest.raises(Refused, match="2001 cues"):
        transcript(given, seconds=10, language="en")


times = st.integers(0, 12_000)


@given(st.lists(st.tuples(times, times, st.lists(st.text(max_size=20), max_size=3)), max_size=6))
def test_what_is_kept_is_in_order_within_the_clip_and_clean(cues: list[tuple[int, int, list[str]]]) -> None:
    given = [GivenCue(f"cues[{n}]", start, end, tuple(lines)) for n, (start, end, lines) in enumerate(cues)]
    try:
        edit = transcript(given, seconds=10, language="en")
    except Refused:
        return
    bounds = [time for cue in edit.cues for time in (cue.start, cue.end)]
    assert bounds == sorted(bounds)
    assert all(0 <= time <= 10_000 for time in bounds)
    assert all(cue.start < cue.end and cue.lines and all(line and line == plain(line) for line in cue.lines) for cue in edit.cues)
    assert [line for cue in edit.cues for line in cue.lines] == [line for *_, lines in cues for text in lines if (line := plain(text))]


@given(st.text())
def test_plain_text_stays_as_it_is_when_it_is_cleaned_again(text: str) -> None:
    assert plain(plain(text)) == plain(text)


def test_joiners_and_all_that_is_seen_stay() -> None:
    assert plain("می‌خواهم 👩‍🚀 क्‍ष\u2028ไทย") == "می‌خواهم 👩‍🚀 क्‍ष ไทย"


OURS = (
    Cue(0, 1500, ("Tom & <Jerry>", "42")),
    Cue(1500, 2500, ("שלום עולם",)),
    Cue(3000, 4000, ("7",)),
)


def test_our_own_files_come_back_as_they_went() -> None:
    """Whichever of a job's files a client edits, nothing changes that it did not change."""
    as_kept = EditedTranscript("en", tuple(EditedCue(cue.start, cue.end, cue.lines) for cue in OURS))
    ours = as_json("en", 4.0, OURS, [Word("Tom", 0.0, 1.0)])
    given, language = from_json(ours)
    assert language == "en"
    for cues in (given, from_file(srt(OURS).encode(), "srt"), from_file(vtt(OURS).encode(), "vtt")):
        assert transcript(cues, seconds=4.0, language="en") == as_kept
