"""What is left of a text that may be written into any subtitle file."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from services.asr.cleaning import clean


def test_what_a_player_takes_for_markup_is_defused():
    assert clean("a --> b") == "a → b"
    assert clean("{\\an8}hi") == "(/an8)hi"
    assert clean("one\\Ntwo") == "one/Ntwo"
    assert clean("<i>hi</i> I <3 you") == "\u2039i>hi\u2039/i> I <3 you"
    assert clean("one\r\n\r\n2\x00\u202e\ufeff\ttwo\u2028three") == "one 2 two three"


def test_text_is_compatibility_composed_and_keeps_its_joiners():
    assert clean("ﬁne cafe\u0301 \uff11\uff12") == "fine café 12"
    assert clean("می\u200cخواهم") == "می\u200cخواهم"  # noqa: RUF001  Persian


def test_a_format_character_that_is_drawn_stays():
    assert clean("\u06dd\u0662\u0663\u200e") == "\u06dd\u0662\u0663"


def test_a_thai_am_keeps_its_ring_below_the_tone_mark():
    assert clean("น้ำ") == "น\u0e4d\u0e49\u0e32", "NFKC alone puts the ring after the mark, where no font expects it"


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaning_is_done_once_and_leaves_no_control_character(text: str):
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFKC", cleaned)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in cleaned)
    assert not set(cleaned) & set("{}\\\n\u2028")
    assert "-->" not in cleaned
