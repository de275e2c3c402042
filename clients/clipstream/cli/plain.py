"""Text from elsewhere made safe for a terminal, and figures as people read them. Pure."""

import re
import unicodedata

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[]P^_X]|[\x9d\x90\x9e\x9f\x98])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS and their like: titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]"
)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Of scripts and of emoji: they change no order and hide nothing."""
_STEP = 1000


def plain(text: object) -> str:
    """One line without control characters, escape sequences, or marks that turn the writing's direction."""
    shown = (letter for letter in _SEQUENCES.sub("", str(text)) if letter.isspace() or _is_harmless(letter))
    return " ".join("".join(shown).split())


def _is_harmless(letter: str) -> bool:
    return letter in _JOINERS or unicodedata.category(letter) not in _HIDDEN


def size(count: float) -> str:
    """Bytes as `1.4 GB`: powers of a thousand, as file managers show them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"  # noqa: PLR2004  three digits
        count /= _STEP
    return f"{count:.1f} TB"


def about(seconds: float) -> str:
    """A length of time, roughly: `8 s`, `2 min`, `3 h`."""
    if seconds < 90:  # noqa: PLR2004  as one would say it
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 90 * 60 else f"{round(seconds / 3600)} h"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
