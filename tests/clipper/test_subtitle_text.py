"""What is drawn of a cue's text: text stays text, whatever it says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.subtitle_text import drawn, guarded, is_right_to_left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("tab\tand\x00nul\u2028sep", "tab and nul sep"),
        ("well 👍🏽 done 🎉", "well done"),
        ("family 👨‍👩‍👧 1️⃣ 🇩🇪", "family"),
        ("♪ sun ☀ →", "♪ sun ☀ →"),
        ("می‌خواهم نوشتن", "می‌خواهم نوشتن"),
        ("\u202bשלום\u202c \u200fעולם", "שלום עולם"),  # noqa: RUF001  Hebrew
        ("<i>a</i> & {b}", "<i>a</i> & {b}"),
        ("🎉", ""),
    ],
)
def test_emoji_controls_and_marks_of_direction_are_left_out(text: str, left: str):
    assert drawn(text) == left


@pytest.mark.parametrize(("text", "written"), [(r"{\b1}bold", "\\{\\\u2060b1\\}bold"), (r"a\hb", "a\\\u2060hb"), ("\\", "\\\u2060")])
def test_braces_and_backslashes_are_signs(text: str, written: str):
    assert guarded(text) == written


def as_libass_reads(text: str) -> str:
    """libass's own reading of an event: an escaped brace is one, an open one begins a command, a backslash before N, n or h is a space."""
    shown = re.sub(r"(?<!\\)\{[^}]*\}", "<command>", text)
    shown = re.sub(r"\\[Nnh]", "<space>", shown)
    return shown.replace(r"\{", "{").replace(r"\}", "}").replace("\u2060", "")


@given(st.text(alphabet=st.one_of(st.sampled_from("{}\\Nnhb1 "), st.characters(exclude_categories=["Cs"])), max_size=60))
def test_no_text_can_command_libass(text: str):
    line = drawn(text).replace("\u2060", "")
    assert as_libass_reads(guarded(line)) == line
    assert not set(guarded(line)) & set("\r\n\x0b\x0c\x85\u2028")


@pytest.mark.parametrize(
    ("lines", "language", "expected"),
    [
        (["שלום עולם"], "und", True),
        (["Google Maps Google", "שלום"], "he", True),
        (["Google Maps Google", "שלום"], "und", False),
        (["OK"], "ar", False),
        (["hello"], "en", False),
        (["قال: YouTube"], "en", False),
        ([], "ar", False),
    ],
)
def test_direction_is_the_languages_and_else_the_letters(lines: list[str], language: str, expected: bool):
    assert is_right_to_left(lines, language) is expected
