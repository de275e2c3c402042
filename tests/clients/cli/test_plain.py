"""What comes from elsewhere can't speak to the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipstream.cli.plain import about, ordinal, plain, size

ESCAPES = st.sampled_from(
    ["\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x9b2J", "\x1bc", "\x1b(0", "\x1b", "\x07", "\r", "\n", "\u202e", "\u2066"]
)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07talk", "talk"),
        ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x1b]52;c;cm0gLXJm\x07paste", "paste"),
        ("\x1bP1$r0m\x1b\\told", "told"),
        ("\x9b2Jgone", "gone"),
        ("\x1bcreset", "reset"),
        ("over\rwritten\b\b", "over written"),
        ("two\nlines\t and", "two lines and"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u200bb\ufeffc", "abc"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
        ("Grüße, 東京 👩‍💻", "Grüße, 東京 👩‍💻"),
    ],
)
def test_a_hostile_text_is_shown_without_its_tricks(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


@given(st.lists(st.text() | ESCAPES).map("".join))
def test_nothing_that_controls_a_terminal_is_left_and_nothing_new_appears(text: str) -> None:
    shown = plain(text)
    assert {unicodedata.category(letter) for letter in shown}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert set(shown) - {" "} <= set(text)
    assert plain(shown) == shown


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_440_000_000, "1.4 GB"), (250_000_000, "250 MB"), (3e13, "30.0 TB")],
)
def test_a_size_has_three_digits_at_most(count: float, words: str) -> None:
    assert size(count) == words


def test_a_length_of_time_is_said_roughly() -> None:
    assert [about(seconds) for seconds in (0.2, 8, 89, 100, 5000, 8000)] == ["1 s", "8 s", "89 s", "2 min", "83 min", "2 h"]


def test_places_in_a_queue_are_said_as_one_says_them() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "112th",
    ]
