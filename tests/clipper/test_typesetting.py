"""Fonts by character and language, and lines that fit: on the fonts that come with the service."""

import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.subtitles_look import SAMPLES
from libs.common.runtime.fonts import fonts_folders
from services.clipper.typefaces import all_faces, faces_of
from services.clipper.typesetting import Typeset, fitted, typeset


def fonts(language: str, text: str = "") -> Typeset:
    return typeset(all_faces(fonts_folders()), "Noto Sans", language, text)


def families(language: str, line: str) -> list[tuple[str, str]]:
    return [(face.family.removeprefix("Noto Sans").strip(), text) for face, text in fonts(language, line).runs(line)]


@pytest.mark.parametrize("language", SAMPLES)
def test_no_glyph_is_missing_in_any_script_of_the_contract(language: str):
    text = "".join(SAMPLES[language])
    assert fonts(language, text).missing(text) == ""


def test_a_character_that_no_font_has_is_named_once():
    assert fonts("en").missing("a𓀀b𓀀\u200d 𓁐") == "𓀀𓁐"


@pytest.mark.parametrize(
    ("language", "line", "expected"),
    [
        ("en", "Any café, ok.", [("", "Any café, ok.")]),
        ("ar", "قال 25 YouTube", [("Arabic", "قال 25 "), ("", "YouTube")]),
        ("hi", "क्षत्रिय ने", [("Devanagari", "क्षत्रिय ने")]),
        ("zh", "好iPhone好", [("CJK SC", "好iPhone好")]),
        ("en", "骨 bone", [("CJK SC", "骨 "), ("", "bone")]),
        ("und", "骨の bone", [("CJK JP", "骨の "), ("", "bone")]),
        ("ja", "骨", [("CJK JP", "骨")]),
        ("ko", "骨 뼈", [("CJK KR", "骨 뼈")]),
        ("yue", "骨", [("CJK HK", "骨")]),
        ("en", "♪ la", [("Symbols", "♪ "), ("", "la")]),
    ],
)
def test_each_script_has_its_font_and_han_that_of_the_language(language: str, line: str, expected: list[tuple[str, str]]):
    assert families(language, line) == expected


@given(st.text(max_size=40))
def test_the_runs_are_the_line(line: str):
    assert "".join(text for _, text in fonts("en").runs(line)) == line


def test_an_own_font_is_asked_first_and_a_wrong_name_is_no_failure():
    faces = all_faces(fonts_folders())
    assert typeset(faces, "noto sans thai", "th", "").reference.family == "Noto Sans Thai"
    assert typeset(faces, "Comic", "en", "").reference in faces


def test_what_is_no_font_is_passed_over(tmp_path: Path):
    whole = next(fonts_folders()[0].glob("NotoSansThai*")).read_bytes()
    for n, data in enumerate(
        [b"", b"ttcf", b"ttcf\0\1\0\0\xff\xff\xff\xff", whole[:300], whole[:20], struct.pack(">4sH6x", b"\0\1\0\0", 9)]
    ):
        path = tmp_path / f"{n}.ttf"
        path.write_bytes(data)
        assert faces_of(path) == ()


words = st.lists(st.text(alphabet="abc日本。", min_size=1, max_size=12), min_size=1, max_size=14)


@given(words, st.integers(min_value=3, max_value=40))
@example(["aaaaaaa日", "aa日aaaa"], 3)
def test_breaking_loses_nothing_and_leaves_only_what_can_not_be_broken_too_wide(parts: list[str], room: int):
    line = " ".join(parts)
    broken = fitted([line], room, len)
    assert "".join(broken).replace(" ", "") == line.replace(" ", "")
    assert all(len(part) <= room or " " not in part for part in broken)


def test_parts_are_of_about_the_same_width():
    assert fitted(["one two three four five six seven"], 20, len) == ("one two three four", "five six seven")
    assert fitted(["short", "日本語日本語日本語。"], 8, len) == ("short", "日本語日本", "語日本語。")
