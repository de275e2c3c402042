"""What was said and when: the Transcript, and the decoding of a provider's verbose_json, however broken its times are. Pure."""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from libs.common.domain.languages import UNDETERMINED, iso_code

SEARCH_AHEAD = 40
"""Characters of running text that may lie between one word and the next before the two are taken for different texts."""


class Word(msgspec.Struct, frozen=True):
    """One spoken word with its punctuation; seconds from the start of the audio."""

    text: str
    start: float
    end: float


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The words in the order of the text. `language` is ISO 639-1, or `und`; provider and model are those that really did it.

    `fell_back`: in place of another. `reused`: it was there already, or another job asked for it at the same time.
    """

    language: str
    words: tuple[Word, ...] = ()
    provider: str
    model: str
    audio_seconds: float
    fell_back: bool = False
    reused: bool = False


class UnreadableError(ValueError):
    """The answer is no transcript: not JSON, or JSON without any text."""


class _Heard(msgspec.Struct, frozen=True):
    """A word as the provider gave it; a time that is no time is None."""

    text: str
    start: float | None = None
    end: float | None = None


def decode(body: bytes | str, *, provider: str, model: str, language: str, seconds: float) -> Transcript:
    """A provider's verbose_json as a Transcript; `language` is what was asked for, `seconds` the length of the audio.

    Words are taken from the top level (OpenAI, Groq), from inside the segments (whisper.cpp), or made from the segments' text (LocalAI).
    Raises UnreadableError.
    """
    answer = _parsed(body)
    words = tuple(_words_of(answer, seconds))
    spoken = iso_code(answer.get("language")) if language == "auto" else language
    return Transcript(
        language=spoken if words else UNDETERMINED if language == "auto" else language,
        words=words,
        provider=provider,
        model=model,
        audio_seconds=_seconds(answer.get("duration")) or seconds,
    )


def _parsed(body: bytes | str) -> dict[str, Any]:
    """Python's own decoder, because servers written in Python send NaN, which strict ones refuse."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("the answer is not JSON") from error
    if not isinstance(answer, dict) or not _has_transcript(answer):
        raise UnreadableError("the answer holds no transcript")
    return answer


def _has_transcript(answer: dict[str, Any]) -> bool:
    return isinstance(answer.get("text"), str) or isinstance(answer.get("segments"), list) or isinstance(answer.get("words"), list)


def _words_of(answer: dict[str, Any], seconds: float) -> list[Word]:
    segments = _dicts(answer.get("segments"))
    text = _text(answer.get("text")) or " ".join(_text(segment.get("text")) for segment in segments)
    if heard := _heard(answer.get("words")):
        return as_written(_timed(heard, 0.0, seconds), text, seconds)
    words = [word for segment in segments for word in _words_in(segment, seconds)]
    return words or spread(text, 0.0, seconds)


def _words_in(segment: dict[str, Any], seconds: float) -> list[Word]:
    start, end = _window(segment, seconds)
    text = _text(segment.get("text"))
    if heard := _heard(segment.get("words")):
        return as_written(_timed(heard, start, end), text, end)
    return spread(text, start, end)


def _window(segment: dict[str, Any], seconds: float) -> tuple[float, float]:
    start, end = _seconds(segment.get("start")), _seconds(segment.get("end"))
    first, last = sorted((0.0 if start is None else start, seconds if end is None else end))
    return first, last


def _heard(words: object) -> list[_Heard]:
    """Each entry that has a text; some servers call it `word`, some `text`."""
    entries = ((_text(entry.get("word")) or _text(entry.get("text")), entry) for entry in _dicts(words))
    return [_Heard(text.strip(), _seconds(entry.get("start")), _seconds(entry.get("end"))) for text, entry in entries if text.strip()]


def _timed(heard: Sequence[_Heard], start: float, end: float) -> list[Word]:
    """Words with times: one without shares the time between its timed neighbours by character count."""
    words: list[Word] = []
    waiting: list[str] = []
    since = start
    for word in heard:
        if word.start is None and word.end is None:
            waiting.append(word.text)
            continue
        first, last = _ordered(word)
        words += [*_shared(waiting, since, max(since, first)), Word(word.text, first, last)]
        waiting, since = [], last
    return words + _shared(waiting, since, max(since, end))


def _ordered(word: _Heard) -> tuple[float, float]:
    """Start and end, the one standing in for a missing other, the earlier first."""
    known = [time for time in (word.start, word.end) if time is not None]
    return min(known), max(known)


def spread(text: str, start: float, end: float) -> list[Word]:
    """The words of a text over a stretch of time, each with a share by its character count."""
    return _shared(text.split(), start, end)


def _shared(texts: Sequence[str], start: float, end: float) -> list[Word]:
    total = sum(map(len, texts))
    words, before = [], 0
    for text in texts:
        after = before + len(text)
        words.append(Word(text, start + (end - start) * before / total, start + (end - start) * after / total))
        before = after
    return words


def as_written(words: Sequence[Word], text: str, until: float) -> list[Word]:
    """Words as the running text writes them: with its punctuation (OpenAI leaves it out of the words), and `twenty` `-first` as one.

    What the text holds beyond the last word is spread up to `until` (seconds). The words unchanged where the two don't match.
    """
    places = _places(words, text)
    if not places:
        return list(words)
    last = words[-1].end
    over = _end_of_word(text, places[-1][1])
    cuts = [0, *(_cut(text, before, after) for before, after in pairwise(places)), over]
    written = [Word(text[a:b], word.start, word.end) for word, (a, b) in zip(words, pairwise(cuts), strict=True)]
    return _joined(written) + spread(text[over:], last, max(last, until))


def _end_of_word(text: str, at: int) -> int:
    return next((i for i in range(at, len(text)) if text[i].isspace()), len(text))


def _places(words: Sequence[Word], text: str) -> list[tuple[int, int]]:
    """Where each word stands in the text, as (first, past the last) character; empty when one isn't there."""
    places, at = [], 0
    for word in words:
        found = text.find(word.text, at, at + len(word.text) + SEARCH_AHEAD)
        if found < 0:
            return []
        at = found + len(word.text)
        places.append((found, at))
    return places


def _cut(text: str, before: tuple[int, int], after: tuple[int, int]) -> int:
    """Between two words: after the last white space, so that an opening quote goes with the word it opens."""
    between = text[before[1] : after[0]]
    blank = max((i for i, char in enumerate(between) if char.isspace()), default=None)
    return after[0] if blank is None else before[1] + blank + 1


def _joined(words: Sequence[Word]) -> list[Word]:
    joined: list[Word] = []
    for word in words:
        if joined and belongs_together(joined[-1].text, word.text):
            last = joined.pop()
            joined.append(Word(last.text + word.text, last.start, max(last.end, word.end)))
        else:
            joined.append(word)
    return [msgspec.structs.replace(word, text=word.text.strip()) for word in joined if word.text.strip()]


def belongs_together(left: str, right: str) -> bool:
    """Whether two neighbours in a running text are parts of one word: no white space parts them, in a script that has it between words."""
    return bool(left and right) and not (left[-1].isspace() or right[0].isspace() or is_unspaced(left[-1]) or is_unspaced(right[0]))


_UNSPACED = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Myanmar
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3000", "\u30ff"),  # CJK punctuation, Hiragana, Katakana
    ("\u3400", "\u9fff"),  # Han
    ("\uf900", "\ufaff"),  # Han, compatibility
    ("\U00020000", "\U0003ffff"),  # Han, rare
)


def is_unspaced(char: str) -> bool:
    """Whether the character is of a script that writes no white space between words."""
    return any(first <= char <= last for first, last in _UNSPACED)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """Half a surrogate pair, which JSON can name and UTF-8 can't write, becomes a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    """A time as a finite number from 0 on; None for what is none (null, NaN, a word, true)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
