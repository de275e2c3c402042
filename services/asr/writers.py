"""Cues as SRT and WebVTT, words as text and JSON. All that comes here is cleaned (cleaning.py), so nothing in it is markup. Pure.

pysubs2 writes SRT and WebVTT: with neither brace nor backslash in a text, none is left that it would take for its own tags. What it does
not do is done here: it escapes nothing in WebVTT (`&`, `<`, `>`: W3C WebVTT 4.2.2) and knows no direction. Text and JSON it does not write.
"""

import html
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import msgspec
import pysubs2

from services.asr.cues import Cue
from services.asr.transcript import Word
from services.asr.units import joined

PARAGRAPH_SECONDS = 2.0
"""A pause that begins a new paragraph of text."""
RIGHT_TO_LEFT_EMBEDDING = "\u202b"
POP_DIRECTION = "\u202c"
RIGHT_TO_LEFT_MARK = "\u200f"


def srt(cues: Sequence[Cue]) -> str:
    """SubRip; an empty file for no cues.

    A right-to-left line is embedded as such (RLE … PDF): SubRip can't say its direction, libass and others take left to right for granted,
    and the isolates of Unicode 6.3 are newer than many a player's fribidi.
    """
    return _subtitles(cues, "srt", lambda line: f"{RIGHT_TO_LEFT_EMBEDDING}{line}{POP_DIRECTION}")


def vtt(cues: Sequence[Cue]) -> str:
    """WebVTT; its header alone for no cues.

    Players take each line's direction from its first letter (W3C WebVTT 8.1: `unicode-bidi: plaintext`): a mark (RLM) before a
    right-to-left line answers for one that begins with a Latin name or a number.
    """
    escaped = [msgspec.structs.replace(cue, lines=tuple(html.escape(line, quote=False) for line in cue.lines)) for cue in cues]
    return _subtitles(escaped, "vtt", lambda line: f"{RIGHT_TO_LEFT_MARK}{line}")


def _subtitles(cues: Sequence[Cue], format_: str, marked: Callable[[str], str]) -> str:
    """As pysubs2 writes them; `keep_ssa_tags` because there are none, and it need not look."""
    file = pysubs2.SSAFile()
    file.events = [pysubs2.SSAEvent(start=cue.start, end=cue.end, text=r"\N".join(_lines(cue, marked))) for cue in cues]
    return file.to_string(format_, keep_ssa_tags=True)


def _lines(cue: Cue, marked: Callable[[str], str]) -> Sequence[str]:
    return [marked(line) for line in cue.lines] if cue.direction == "rtl" else cue.lines


def text(words: Sequence[Word]) -> str:
    """What was said as running text, a paragraph a line with an empty one between; empty for no words."""
    return "\n\n".join(_paragraphs(words)) + "\n" if words else ""


def _paragraphs(words: Sequence[Word]) -> Iterator[str]:
    """Words that no long pause parts."""
    breaks = [n for n, (before, after) in enumerate(pairwise(words), 1) if after.start - before.end >= PARAGRAPH_SECONDS]
    for first, after in pairwise([0, *breaks, len(words)]):
        yield joined([word.text for word in words[first:after]])


class _TimedWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class _TimedText(msgspec.Struct, frozen=True):
    start: float
    end: float
    direction: str
    lines: tuple[str, ...]
    words: list[list[_TimedWord]]


class _Document(msgspec.Struct, frozen=True):
    language: str
    duration: float
    cues: list[_TimedText]
    words: list[_TimedWord]


def as_json(language: str, seconds: float, cues: Sequence[Cue], words: Sequence[Word]) -> bytes:
    """`{language, duration, cues: [{start, end, direction, lines, words}], words: [{word, start, end}]}`, times in seconds.

    `language` is ISO 639-1 or `und`, `direction` is `ltr` or `rtl`; a cue's `words` are a list for each of its lines.
    """
    shown = [_TimedText(cue.start / 1000, cue.end / 1000, cue.direction, cue.lines, [_timed(line) for line in cue.words]) for cue in cues]
    return msgspec.json.encode(_Document(language, round(seconds, 3), shown, _timed(words)))


def _timed(words: Sequence[Word]) -> list[_TimedWord]:
    return [_TimedWord(word.text, round(word.start, 3), round(word.end, 3)) for word in words]
