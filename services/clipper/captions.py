"""The cues to be drawn, read from what the transcriber wrote: clip.json, which knows the words' times, or an SRT. Pure."""

import re
from collections.abc import Iterator

import msgspec
import pysubs2

from libs.common.domain.failures import Code, Failure

_LINE_BREAKS = re.compile(r"\\N|\r\n|\r|\n")


class SpokenWord(msgspec.Struct, frozen=True):
    """A word of a caption's text, in its order; milliseconds from the clip's beginning."""

    text: str
    start: int
    end: int


class Caption(msgspec.Struct, frozen=True):
    """What is shown from `start` to `end`, milliseconds from the clip's beginning."""

    start: int
    end: int
    lines: tuple[str, ...]
    words: tuple[SpokenWord, ...] = ()


class _TimedWord(msgspec.Struct, frozen=True):
    word: str
    start: float
    end: float


class _TimedText(msgspec.Struct, frozen=True):
    start: float
    end: float
    lines: tuple[str, ...]
    words: tuple[tuple[_TimedWord, ...], ...] = ()
    """Those of each line."""


class _Document(msgspec.Struct, frozen=True):
    """What we read of a clip.json; its times are seconds."""

    cues: tuple[_TimedText, ...]


def captions_of_json(document: bytes) -> tuple[Caption, ...]:
    """Raises Failure(INTERNAL) for what the transcriber didn't write."""
    try:
        cues = msgspec.json.decode(document, type=_Document).cues
    except msgspec.DecodeError as error:
        raise Failure(Code.INTERNAL, "the subtitles' JSON can't be read") from error
    return tuple(Caption(_milliseconds(cue.start), _milliseconds(cue.end), cue.lines, tuple(_words(cue))) for cue in cues)


def _words(cue: _TimedText) -> Iterator[SpokenWord]:
    for line in cue.words:
        for word in line:
            yield SpokenWord(word.word, _milliseconds(word.start), _milliseconds(word.end))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def captions_of_srt(text: str) -> tuple[Caption, ...]:
    """Markup is kept as text: what it says is drawn."""
    cues = pysubs2.SSAFile.from_string(text, format_="srt", keep_html_tags=True, keep_unknown_html_tags=True)
    return tuple(Caption(cue.start, cue.end, tuple(_LINE_BREAKS.split(cue.text))) for cue in cues)
