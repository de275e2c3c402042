"""Times that can be relied on: words in order within the clip, and from when to when a cue is shown. Pure; nothing is thrown away here."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from services.asr.cleaning import clean
from services.asr.rules import COLUMNS_A_SECOND, COMFORTABLE_COLUMNS_A_SECOND, LONGEST, LONGEST_HOLD, SHORTEST, SMALL_GAP, columns
from services.asr.transcript import Word, spread


def settled(words: Sequence[Word], seconds: float) -> list[Word]:
    """Cleaned words in the order of the text: each begins after the one before it has ended, all lie within the clip.

    None is earlier than it was. A time that is none (NaN, past the clip) is taken from the words before it.
    """
    ordered = list(_ordered(words, seconds))
    apart = [word for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1].start) for word in _apart(list(run), ordered, seconds)]
    nexts = [word.start for word in apart] + [seconds]
    return [Word(word.text, word.start, min(word.end, nexts[n])) for n, word in enumerate(apart, 1)]


def _ordered(words: Sequence[Word], seconds: float) -> Iterator[Word]:
    since = 0.0
    for word in words:
        start = max(since, word.start) if word.start <= seconds else since
        end = min(max(start, word.end), seconds) if math.isfinite(word.end) else start
        pieces = spread(clean(word.text), start, end)
        yield from pieces
        since = pieces[-1].start if pieces else since


def _apart(run: list[tuple[int, Word]], ordered: Sequence[Word], seconds: float) -> list[Word]:
    """Words that all begin at once can't have been said at once: they share the time up to the next, at a readable pace, by length."""
    words = [word for _, word in run]
    if len(words) == 1:
        return words
    after = run[-1][0] + 1
    text = " ".join(word.text for word in words)
    start = words[0].start
    spoken = max(*(word.end for word in words), start + columns(text) / COMFORTABLE_COLUMNS_A_SECOND)
    return spread(text, start, min(spoken, ordered[after].start if after < len(ordered) else seconds))


def milliseconds(seconds: float, rounded: Callable[[float], int]) -> int:
    """1.001 s is 1001 ms, though 1.001 * 1000 is a little less."""
    return rounded(round(seconds * 1000, 3))


def shown_until(start: int, spoken: int, width: int, following: int | None, until: int, gap: int) -> int:
    """When a cue of so many columns leaves, in milliseconds: it begins at `start`, its last word ends at `spoken`, the clip at `until`.

    A gap to the next cue that would be small is closed to the least; else it is held for a comfortable reading, but never long.
    """
    needed = start + (SHORTEST if width * 1000 < SHORTEST * COLUMNS_A_SECOND else -(-width * 1000 // COLUMNS_A_SECOND))
    needed = max(needed, spoken)
    if following is not None and following - needed < SMALL_GAP:
        return min(following - gap, start + LONGEST, until)
    comfortable = max(needed, min(spoken + LONGEST_HOLD, start + width * 1000 // COMFORTABLE_COLUMNS_A_SECOND))
    return min(comfortable, until if following is None else following - SMALL_GAP, start + LONGEST, until)
