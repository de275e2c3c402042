"""The rules of a cue as figures: Netflix's timed text guides, the EBU's and BBC's habits where those are silent (findings A3). Pure.

Where they can't all be kept, the earlier holds: no word lost > no overlap > inside the clip > line length > reading speed > duration.
"""

import math
import unicodedata
from dataclasses import dataclass

SHORTEST = 834
"""Milliseconds a cue is shown at least: 5/6 s, rounded up."""
LONGEST = 7000
COLUMNS_A_SECOND = 20
"""Reading speed at most."""
COMFORTABLE_COLUMNS_A_SECOND = 15
"""Reading speed that a cue is held for where nobody speaks."""
LONGEST_HOLD = 500
"""Milliseconds past the last word, if neither the shortest time nor the reading speed asks for more."""
SMALL_GAP = 500
"""Milliseconds between two cues that look like a flicker: a gap below is closed to the least."""
GAP_FRAMES = 2
FRAME_SECONDS = 1 / 25
LONGEST_FRAME = 0.1
"""Of pictures slower than that, two frames would be a gap that one sees."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How much text a cue holds: at most two lines of so many columns; a wide character (Han, Kana, Hangul …) takes two."""

    columns: int


HORIZONTAL = Layout(42)
VERTICAL = Layout(22)
"""For pictures higher than wide."""


def columns(text: str) -> int:
    """What the text takes of a line (UAX 11). A combining mark counts as one: players and other people's checks count it so."""
    return len(text) if text.isascii() else sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def least_gap(frame: float) -> int:
    """Milliseconds between two cues; `frame` is how many seconds a picture is shown. One that can't be counts as the usual."""
    known = frame if 0 < frame <= LONGEST_FRAME else FRAME_SECONDS
    return math.ceil(round(GAP_FRAMES * known * 1000, 3))
