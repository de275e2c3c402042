"""What of a cue's text is drawn, and how it is told to libass so that text is only ever text. Pure."""

import re
import unicodedata
from collections.abc import Sequence

RIGHT_TO_LEFT_MARK = "\u200f"
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ur", "yi"})
"""Languages whose lines begin at the right, whatever word a line begins with."""

_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f201-\U0001f265]"
    "[\U0001f3fb-\U0001f3ff\ufe0f\u20e3\U000e0020-\U000e007f]*\u200d?"
    "|[\u2300-\u2bff\u3030\u303d\u3297\u3299\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff0-9#*]\ufe0f\u20e3?\u200d?"
)
"""What is drawn as a colour picture; libass can't, so it is left out. Text signs such as a note or an arrow stay."""
_SPACES = re.compile(r"[ \t\u00a0]+")
_DIRECTIONS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
"""Marks of direction, which are ours to set."""
_WORD_JOINER = "\u2060"
_GUARDED = {ord("{"): r"\{", ord("}"): r"\}", ord("\\"): f"\\{_WORD_JOINER}"}
"""libass's own way to write braces; a word joiner, which has no width, makes of a backslash a mere sign."""


def drawn(line: str) -> str:
    """One line as it is drawn: without emoji, control characters and marks of direction, its spaces folded."""
    text = _DIRECTIONS.sub("", _EMOJI.sub("", line))
    plain = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp", "Cs"} else sign for sign in text)
    return _SPACES.sub(" ", plain).strip()


def guarded(text: str) -> str:
    """The text in ASS, with nothing in it that libass would take for a command."""
    return text.translate(_GUARDED)


def is_right_to_left(lines: Sequence[str], language: str) -> bool:
    """By the language; else by what most of the letters are (Unicode Standard Annex 9)."""
    if language in RIGHT_TO_LEFT:
        return any(unicodedata.bidirectional(sign) in {"R", "AL"} for line in lines for sign in line)
    kinds = [unicodedata.bidirectional(sign) for line in lines for sign in line]
    return sum(kind in {"R", "AL"} for kind in kinds) > kinds.count("L")


def is_seen(sign: str) -> bool:
    """False for spaces, joiners and other signs that fonts need no picture for."""
    return unicodedata.category(sign) not in {"Cc", "Cf", "Zs", "Zl", "Zp"} and not "\ufe00" <= sign <= "\ufe0f"
