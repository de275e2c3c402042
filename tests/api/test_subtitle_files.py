"""Cues out of WebVTT and SubRip files, as people and programs write them; and every refusal names its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.requests import Refused
from services.api.subtitle_files import from_file

SRT = "1\n00:00:00,500 --> 00:00:01,000\nHello\n\n2\n00:00:01,000 --> 00:00:02,250\nto\nyou\n"
VTT = "WEBVTT\n\n00:00.500 --> 00:01.000\nHello\n\n00:00:01.000 --> 00:00:02.250\nto\nyou\n"


def read(text: str | bytes, kind: str) -> list[tuple[int, int, tuple[str, ...]]]:
    body = text if isinstance(text, bytes) else text.encode()
    return [(cue.start, cue.end, cue.lines) for cue in from_file(body, kind)]


def words(text: str, kind: str) -> list[str]:
    return [" / ".join(lines) for _, _, lines in read(text, kind)]


@pytest.mark.parametrize(("text", "kind"), [(SRT, "srt"), (VTT, "vtt")])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_plain_file(text: str, kind: str, line_end: str, mark: str) -> None:
    assert read(mark + text.replace("\n", line_end), kind) == [(500, 1000, ("Hello",)), (1000, 2250, ("to", "you"))]


def test_a_cue_knows_the_line_of_its_times() -> None:
    assert [cue.place for cue in from_file(SRT.encode(), "srt")] == ["line 2", "line 6"]
    assert [cue.place for cue in from_file(VTT.encode(), "vtt")] == ["line 3", "line 6"]


@pytest.mark.parametrize(("text", "kind"), [("", "srt"), ("\n \n", "srt"), ("WEBVTT", "vtt"), ("WEBVTT - made by hand\n\n\n", "vtt")])
def test_a_file_without_cues_is_one(text: str, kind: str) -> None:
    assert read(text, kind) == []


def test_comments_styles_names_and_settings_are_no_text() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nby Ada\n\nfirst cue\n"
        "00:01.000 --> 00:02.000 align:start line:0\n"
        "Hello\n\nNOTE more\n\nREGION\nid:a\n\n00:03.000 --> 00:04.000\nyou\n\nNOTE the end"
    )
    assert words(text, "vtt") == ["Hello", "you"]


def test_tags_are_left_out_and_other_brackets_stay() -> None:
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada><i>Hello</i>, <c.yellow>you</c> <00:00:01.500>two &lt;i&gt; &amp; 3 < 4 {b}\n"
    assert words(vtt, "vtt") == ["Hello, you two <i> & 3 < 4 {b}"]
    srt = '1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<font color="red">Hello</font> <B>you</B> &amp; {b} a <b 3\n'
    assert words(srt, "srt") == ["Hello you &amp; {b} a <b 3"]


def test_a_line_that_is_a_number_is_no_cues_number() -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\nThe answer:\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n7\n"
    assert words(srt, "srt") == ["The answer: / 42", "7"]
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\nThe answer:\n42\n\n2\n00:03.000 --> 00:04.000\n7\n"
    assert words(vtt, "vtt") == ["The answer: / 42", "7"]
    assert words("00:00:01,000 --> 00:00:02,000\nThe answer:\n42", "srt") == ["The answer: / 42"]


def test_subrip_without_numbers_or_blank_lines_between_cues_or_with_some_inside() -> None:
    assert words("00:00:01,000 --> 00:00:02,000\na\n00:00:03,000 --> 00:00:04,000\nb", "srt") == ["a", "b"]
    assert words("1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:03,000 --> 00:00:04,000\nb", "srt") == ["a", "b"]
    assert words("1\n00:00:01.5 --> 00:00:02.0 X1:1\na\n\nb\n\n\n", "srt") == ["a / b"]


def test_a_cue_without_text_is_one() -> None:
    assert words("1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\nb", "srt") == ["", "b"]


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("Hello\n", "srt", 1),
        ("1\n\nHello\n", "srt", 3),
        ("1\n00:01 --> 00:02\nHello\n", "srt", 2),
        ("1\n00:00:01,000 -> 00:00:02,000\nHello\n", "srt", 2),
        ("1\n-00:00:01,000 --> 00:00:02,000\nHello\n", "srt", 2),
        ("1\n100:00:01,000 --> 100:00:02,000\nHello\n", "srt", 2),
        (SRT + "\n3\n00:00:03,000 --> soon\nHello\n", "srt", 11),
        (SRT + "from 00:00:03,000 to 00:00:04,000\n", "srt", 9),
        ("1\n00:00:01,000 --> 00:00:02,000\nHello --> you\n", "srt", 3),
        ("", "vtt", 1),
        ("00:01.000 --> 00:02.000\nHello\n", "vtt", 1),
        ("WEBVTTX\n", "vtt", 1),
        (VTT + "\nand you too\n", "vtt", 10),
        ("WEBVTT\n00:01.000 --> 00:02.000\nHello\n", "vtt", 2),
        ("WEBVTT\n\n00:01,000 --> 00:02,000\nHello\n", "vtt", 3),
        ("WEBVTT\n\n00:01.50 --> 00:02.000\nHello\n", "vtt", 3),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHell\xf6\n", "vtt", 4),
    ],
)
def test_a_refusal_names_the_line(text: str | bytes, kind: str, line: int) -> None:
    with pytest.raises(Refused, match=rf": line {line}: "):
        read(text, kind)


pieces = st.sampled_from(
    [
        *(
            "WEBVTT",
            "1",
            "2",
            "42",
            "",
            " ",
            "NOTE x",
            "Hello",
            "<i>you</i>",
            "{\\an8}",
            "\\N",
            "a --> b",
            "\x00",
            "\u2028",
            "\x0b",
            "00:00:01,000",
        )
    ]
    + [f"00:00:0{n},000 --> 00:00:0{n + 1},000" for n in range(3)]
    + [f"00:0{n}.000 --> 00:0{n + 1}.000" for n in range(3)]
)


@given(st.lists(pieces, max_size=12), st.sampled_from(["srt", "vtt"]))
def test_whatever_the_file_it_is_read_or_refused(lines: list[str], kind: str) -> None:
    text = "\n".join(lines)
    try:
        cues = read(text, kind)
    except Refused:
        return
    assert len(cues) == text.count("-->")


@given(st.binary(max_size=200), st.sampled_from(["srt", "vtt"]))
def test_whatever_the_bytes_they_are_read_or_refused(body: bytes, kind: str) -> None:
    try:
        read(body, kind)
    except Refused:
        return


SENTENCES = st.lists(st.lists(st.from_regex(r"[a-z0-9]{1,8}( [a-z0-9]{1,8}){0,3}", fullmatch=True), min_size=1, max_size=3), max_size=8)


@given(SENTENCES, st.sampled_from(["srt", "vtt"]), st.booleans())
def test_no_word_is_lost(texts: list[list[str]], kind: str, numbered: bool) -> None:
    point = "," if kind == "srt" else "."
    cues = [
        "\n".join([*([str(n)] if numbered else []), f"00:00:{n:02d}{point}000 --> 00:00:{n + 1:02d}{point}000", *lines])
        for n, lines in enumerate(texts)
    ]
    text = "\n\n".join([*["WEBVTT"] * (kind == "vtt"), *cues])
    assert read(text, kind) == [(n * 1000, n * 1000 + 1000, tuple(lines)) for n, lines in enumerate(texts)]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("filling", ["\n", "x", " ", "<", "{\\", "1\n", "-->", "00:00:01,000 ", "&", "\t\n ", "<i ", "\n 1"])
@pytest.mark.parametrize(("head", "kind"), [(SRT, "srt"), (VTT + "\n00:03.000 --> 00:04.000\na\n", "vtt")])
def test_a_mebibyte_of_anything_is_read_or_refused_at_once(head: str, kind: str, filling: str) -> None:
    body = head + filling * ((1 << 20) // len(filling)) + "\nx"
    try:
        assert read(body, kind)
    except Refused as refused:
        assert "line" in refused.message  # noqa: PT017  either is right, slowness is not
