"""Words to cues by dynamic programming over word boundaries: of all ways to part the text, the one that costs least. Pure.

A cue begins with its first word, so where the cues are parted says when each is shown: rules of time and of text are weighed at once.
"""

import math
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import msgspec

from services.asr.breaks import Boundaries, boundaries
from services.asr.rules import COLUMNS_A_SECOND, FRAME_SECONDS, HORIZONTAL, LONGEST, SHORTEST, SMALL_GAP, Layout, columns, least_gap
from services.asr.timing import milliseconds, settled, shown_until
from services.asr.transcript import Word
from services.asr.units import Unit, units, written

A_CUE = 12.0
"""Costs; those of boundaries are in breaks.py. Fewer cues are calmer."""
TOO_FAST = (600.0, 4000.0)
"""For a reading speed above the limit, and times the part of the reading time that is missing."""
TOO_SHORT = (300.0, 1000.0)
FLICKERING_GAP = 250.0
BRIEF = 10.0
BRIEF_MILLISECONDS = 1500
SECOND_LINE = 2.0
UNBALANCED = 15.0
"""Times the difference of two lines in columns by a line's."""
TOP_HEAVY = 3.0


class Cue(msgspec.Struct, frozen=True):
    """What is shown from `start` to `end`, whole milliseconds from the clip's first frame; `words` are those of each line, in seconds."""

    start: int
    end: int
    lines: tuple[str, ...]
    words: tuple[tuple[Word, ...], ...] = ()

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Right to left where most letters are Arabic, Hebrew, Syriac …"""
        classes = [unicodedata.bidirectional(char) for line in self.lines for char in line]
        return "rtl" if sum(kind in {"R", "AL"} for kind in classes) > classes.count("L") else "ltr"


def cues(
    words: Sequence[Word], seconds: float, layout: Layout = HORIZONTAL, *, language: str = "und", frame: float = FRAME_SECONDS
) -> tuple[Cue, ...]:
    """The words as cues of a clip that lasts `seconds`, its pictures `frame` seconds each: in order, apart, within the clip.

    No word is dropped, whatever its times are. `language` is ISO 639-1: which small words bind to the next (breaks.py).
    """
    until = max(1, milliseconds(seconds, math.floor))
    made = units(settled(words, seconds), layout)
    gap = least_gap(frame)
    parted = _parted(made, boundaries(made, language), layout, until, gap) if made else []
    return _placed(_fitted(parted, until), made, until, gap)


@dataclass(frozen=True, slots=True)
class _Part:
    """Units from `first` to before `after`; the second line begins at `split`, which is `after` if there is none."""

    first: int
    split: int
    after: int


def _parted(made: Sequence[Unit], between: Boundaries, layout: Layout, until: int, gap: int) -> list[_Part]:
    """The cheapest way to part the units into cues."""
    search = _Search(made, between, layout, until, gap)
    best = [0.0]
    chosen: list[_Part] = []
    for after in range(1, len(made) + 1):
        cost, part = search.best_ending_at(after, best)
        best.append(cost)
        chosen.append(part)
    parts: list[_Part] = []
    at = len(made)
    while at:
        parts.append(chosen[at - 1])
        at = parts[-1].first
    return parts[::-1]


class _Search:
    """Sums over the units, so that a candidate's width and span cost two look-ups."""

    def __init__(self, made: Sequence[Unit], between: Boundaries, layout: Layout, until: int, gap: int) -> None:
        widths = [columns(unit.word.text) for unit in made]
        self.spaces = [unit.space for unit in made]
        self.upto = [0, *accumulate(width + space for width, space in zip(widths, self.spaces, strict=True))]
        self.starts = [milliseconds(unit.word.start, math.floor) for unit in made]
        self.ends = [milliseconds(unit.word.end, math.ceil) for unit in made]
        self.spans = list(accumulate(between.spanned))
        self.cue_end = [*between.cue_end, 0.0]
        self.line_end = between.line_end
        self.number_from = _number_from(made)
        self.widest, self.until, self.gap = layout.columns, until, gap

    def best_ending_at(self, after: int, best: Sequence[float]) -> tuple[float, _Part]:
        """Of the cues that end before `after`, the one that costs least with all before it; one unit alone always fits."""
        cheapest, part = math.inf, _Part(after - 1, after, after)
        here = A_CUE + self.cue_end[after] + self.spans[after - 1]
        for first in self._firsts(after):
            cost = best[first] + here - self.spans[first]
            if cost >= cheapest:
                continue
            width = self.upto[after] - self.upto[first] - self.spaces[first]
            cost += self._untimely(first, after, width)
            if cost >= cheapest:
                continue
            second, split = (0.0, after) if width <= self.widest else self._two_lines(first, after)
            if cost + second < cheapest:
                cheapest, part = cost + second, _Part(first, split, after)
        return cheapest, part

    def _firsts(self, after: int) -> Iterator[int]:
        """Where a cue that ends before `after` may begin: two lines may hold it, and it is spoken within the longest time."""
        yield after - 1
        earliest = self.ends[after - 1] - LONGEST
        narrowest = self.upto[after] - 2 * self.widest - 1
        for first in range(after - 2, -1, -1):
            if self.upto[first] + self.spaces[first] < narrowest or self.starts[first] < earliest:
                return
            yield first

    def _untimely(self, first: int, after: int, width: int) -> float:
        """What a cue's time costs: too short to read, shorter than 5/6 s, or gone just before the next comes."""
        start = self.starts[first]
        following = self.starts[after] if after < len(self.starts) else None
        end = shown_until(start, self.ends[after - 1], width, following, self.until, self.gap)
        shown = end - start if end > start else 0
        cost = BRIEF * (1 - shown / BRIEF_MILLISECONDS) if shown < BRIEF_MILLISECONDS else 0.0
        reading = width * 1000 / COLUMNS_A_SECOND
        if shown < reading:
            cost += TOO_FAST[0] + TOO_FAST[1] * (1 - shown / reading)
        if shown < SHORTEST:
            cost += TOO_SHORT[0] + TOO_SHORT[1] * (1 - shown / SHORTEST)
        if following is not None and self.gap < following - end < SMALL_GAP:
            cost += FLICKERING_GAP
        return cost

    def _two_lines(self, first: int, after: int) -> tuple[float, int]:
        """What the best second line costs and where it begins; infinitely much if two lines don't hold the text.

        A second line of one number would be taken for the next cue's by parsers of SRT (pysubs2).
        """
        left, right, widest = self.upto[first] + self.spaces[first], self.upto[after], self.widest
        cheapest, at = math.inf, after
        lowest = bisect_left(self.upto, right - widest - 1, first + 1, after)
        highest = bisect_right(self.upto, left + widest, first + 1, after)
        for split in range(lowest, min(highest, self.number_from[after - 1])):
            above, below = self.upto[split] - left, right - self.upto[split] - self.spaces[split]
            cost = self.line_end[split] + (above - below if above > below else below - above) * UNBALANCED / widest
            if above > below:
                cost += TOP_HEAVY
            if cost < cheapest and below <= widest:
                cheapest, at = cost, split
        return cheapest + SECOND_LINE, at


def _number_from(made: Sequence[Unit]) -> list[int]:
    """For each unit, where a number that ends with it begins: a line from there on is that number alone. Past the unit if it is none."""
    begins: list[int] = []
    for n, unit in enumerate(made):
        goes_on = n > 0 and not unit.space and begins[n - 1] < n
        begins.append((begins[n - 1] if goes_on else n) if unit.word.text.isdecimal() else n + 1)
    return begins


def _fitted(parts: Sequence[_Part], most: int) -> Sequence[_Part]:
    """A clip of fewer milliseconds than cues shows more text at once: lines grow too long before a cue gets no time."""
    if len(parts) <= most:
        return parts
    cuts = [parts[len(parts) * n // most].first for n in range(most)]
    return [_Part(first, after, after) for first, after in pairwise([*cuts, parts[-1].after])]


def _placed(parts: Sequence[_Part], made: Sequence[Unit], until: int, gap: int) -> tuple[Cue, ...]:
    """Each begins with its first word, rounded down, and lasts a millisecond at least: words that all come last are shown a bit early."""
    starts: list[int] = []
    for n, part in enumerate(parts):
        latest = until - (len(parts) - n)
        spoken = milliseconds(made[part.first].word.start, math.floor)
        starts.append(max(starts[-1] + 1 if starts else 0, min(spoken, latest)))
    followings: list[int | None] = [*starts[1:], None]
    return tuple(_cue(part, made, start, following, until, gap) for part, start, following in zip(parts, starts, followings, strict=False))


def _cue(part: _Part, made: Sequence[Unit], start: int, following: int | None, until: int, gap: int) -> Cue:
    shown = [line for line in (made[part.first : part.split], made[part.split : part.after]) if line]
    spoken = milliseconds(made[part.after - 1].word.end, math.ceil)
    end = shown_until(start, spoken, columns(written(made[part.first : part.after])), following, until, gap)
    words = tuple(tuple(unit.word for unit in line) for line in shown)
    return Cue(start, max(end, start + 1), tuple(map(written, shown)), words)
