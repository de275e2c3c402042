"""The peer: the algorithm that the service had before cues.py, which splits a sentence in two until the halves fit. As it was."""

import math
import re
from collections.abc import Callable, Iterator, Sequence

from services.asr.cleaning import clean
from services.asr.cues import Cue
from services.asr.transcript import Word, is_unspaced, spread

LINE_CHARACTERS = 42
CUE_LINES = 2
CUE_SECONDS = 7.0
SHORTEST_SECONDS = 5 / 6
"""A cue is held at least this long where the next one leaves room; a sentence shorter than that stays with the one after it."""
SILENCE_SECONDS = 0.5
"""A pause that ends a cue (the rule of stable-ts)."""

_CLOSING = "\"'\u201d\u2019»)\\]"
_SENTENCE_END = re.compile(f"[.!?…。][{_CLOSING}]*$")
_CLAUSE_END = re.compile(f"[,;:،、\u2014\u2013-][{_CLOSING}]*$")


def cues(words: Sequence[Word], seconds: float) -> tuple[Cue, ...]:
    """The words as cues of a clip that lasts `seconds`: in order, apart from each other, each within the clip."""
    groups = [group for phrase in _phrases(_settled(words, seconds)) for group in _parted(phrase)]
    return _placed(groups, _milliseconds(seconds, math.floor))


def _settled(words: Sequence[Word], seconds: float) -> list[Word]:
    """Cleaned words in the order of the text, with times that never run backwards and stay within the clip."""
    settled, since = [], 0.0
    for word in words:
        start = _within(word.start, since, seconds)
        end = _within(word.end, start, seconds)
        since = start
        settled += spread(clean(word.text), start, end)
    return settled


def _within(time: float, least: float, most: float) -> float:
    """The time between the two; `least` for one that is no number."""
    return least if math.isnan(time) else max(least, min(time, most))


def _phrases(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Runs of words between sentence ends and silences: no cue goes beyond one."""
    phrase: list[Word] = []
    for word in words:
        if phrase and _is_break(phrase, word):
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase


def _is_break(phrase: Sequence[Word], following: Word) -> bool:
    last = phrase[-1]
    if following.start - last.end >= SILENCE_SECONDS:
        return True
    return bool(_SENTENCE_END.search(last.text)) and last.end - phrase[0].start >= SHORTEST_SECONDS


def _parted(words: Sequence[Word]) -> list[Sequence[Word]]:
    """The phrase as groups that each fit a cue, split again and again where it reads best."""
    if len(words) == 1 or (_duration(words) <= CUE_SECONDS and _lines([word.text for word in words])):
        return [words]
    at = _best_split(words)
    return _parted(words[:at]) + _parted(words[at:])


def _best_split(words: Sequence[Word]) -> int:
    """Near the middle, and after punctuation or in a pause; within the middle half, so that the halves always shrink."""
    n = len(words)
    middle = range(max(1, n // 4), max(2, n - n // 4))

    def cost(at: int) -> float:
        pause = min(max(words[at].start - words[at - 1].end, 0.0), SILENCE_SECONDS)
        return abs(2 * at - n) / n - (0.4 if _ends_clause(words[at - 1].text) else 0.0) - pause

    return min(middle, key=cost)


def _ends_clause(text: str) -> bool:
    return bool(_CLAUSE_END.search(text) or _SENTENCE_END.search(text))


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    """One line, or the two that balance best and break after punctuation; empty if two don't hold the text."""
    if sum(map(len, texts)) > CUE_LINES * LINE_CHARACTERS:
        return ()
    whole = joined(texts)
    if len(whole) <= LINE_CHARACTERS:
        return (whole,)
    splits = [(joined(texts[:at]), joined(texts[at:])) for at in range(1, len(texts))]
    return min((lines for lines in splits if _is_layout(lines)), key=_imbalance, default=())


def _is_layout(lines: tuple[str, str]) -> bool:
    """No line too long; and no last line that is one number, which parsers (pysubs2) take for the next cue's."""
    return max(map(len, lines)) <= LINE_CHARACTERS and not lines[-1].isdecimal()


def _imbalance(lines: tuple[str, str]) -> float:
    above, below = lines
    return abs(len(above) - len(below)) - (12 if _ends_clause(above) else 0)


def joined(texts: Sequence[str]) -> str:
    """The words as running text: a space between two, but none between characters of Chinese, Japanese, Thai …"""
    line = ""
    for text in texts:
        line += f" {text}" if line and not (is_unspaced(line[-1]) and is_unspaced(text[0])) else text
    return line


def _duration(words: Sequence[Word]) -> float:
    return words[-1].end - words[0].start


def _placed(groups: Sequence[Sequence[Word]], until: int) -> tuple[Cue, ...]:
    """Start rounded down and end up to the millisecond, then made to fit: before the next cue, within the clip, at most 7 s.

    Each lasts a millisecond at least, unless the clip has fewer of them than cues.
    """
    least = min(1, until // len(groups)) if groups else 0
    starts = _starts(groups, until, least)
    return tuple(
        Cue(start, _end(group, start, following, least), _lines([word.text for word in group]) or (group[0].text,))
        for group, start, following in zip(groups, starts, [*starts, until][1:], strict=True)
    )


def _starts(groups: Sequence[Sequence[Word]], until: int, least: int) -> list[int]:
    starts: list[int] = []
    for n, group in enumerate(groups):
        latest = until - (len(groups) - n) * least
        earliest = starts[-1] + least if starts else 0
        starts.append(max(earliest, min(_milliseconds(group[0].start, math.floor), latest)))
    return starts


def _end(group: Sequence[Word], start: int, following: int, least: int) -> int:
    spoken = _milliseconds(group[-1].end, math.ceil)
    held = max(spoken, start + least, start + math.ceil(SHORTEST_SECONDS * 1000))
    return min(held, following, start + math.floor(CUE_SECONDS * 1000))


def _milliseconds(seconds: float, rounded: Callable[[float], int]) -> int:
    """1.001 s is 1001 ms, though 1.001 * 1000 is a little less."""
    return rounded(round(seconds * 1000, 3))
