"""Finds fault with cues as a subtitler's checklist does: by their text and times alone, knowing nothing of how they were made."""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from services.asr.cleaning import clean
from services.asr.cues import Cue
from services.asr.rules import Layout
from services.asr.transcript import Word

ARTICLES = {
    "en": {"a", "an", "the"},
    "de": {"der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines"},
    "fr": {"le", "la", "les", "un", "une", "des", "du"},
    "es": {"el", "la", "los", "las", "un", "una", "unos", "unas"},
    "it": {"il", "lo", "la", "i", "gli", "le", "un", "uno", "una"},
    "pt": {"o", "a", "os", "as", "um", "uma"},
    "nl": {"de", "het", "een"},
}
# ruff: noqa: RUF001  signs of other scripts are meant as such
NO_LINE_BEGINS_WITH = set(",.;:!?)]}%、。，．・：；？！」』】〉》〕”ぁぃぅぇぉっゃゅょァィゥェォッャュョー々؟،؛।")
NO_LINE_ENDS_WITH = set("([{「『【〈《〔“¿¡")
CADENCE = 20
SHORTEST, LONGEST, HOLD, SMALL_GAP, LATE = 833, 7000, 500, 500, 100
"""Milliseconds."""


@dataclass(frozen=True)
class Spoken:
    """What was said: cleaned texts, and when each cue's first word begins and its last ends, by counting letters."""

    texts: list[str]
    words: Sequence[Word]

    @classmethod
    def of(cls, words: Sequence[Word]) -> "Spoken":
        texts = [letters(clean(word.text)) for word in words]
        kept = [(text, word) for text, word in zip(texts, words, strict=True) if text]
        return cls([text for text, _ in kept], [word for _, word in kept])

    def spans(self, cues: Sequence[Cue]) -> list[tuple[float, float]]:
        """For each cue, milliseconds."""
        begins = [0, *accumulate(map(len, self.texts))]
        ends = list(accumulate(len(letters("".join(cue.lines))) for cue in cues))
        spans = []
        for first, after in pairwise([0, *ends]):
            one, other = (self.words[min(bisect_right(begins, at) - 1, len(self.words) - 1)] for at in (first, after - 1))
            spans.append((one.start * 1000, other.end * 1000))
        return spans


def letters(text: str) -> str:
    return "".join(text.split())


def violations(
    cues: Sequence[Cue], words: Sequence[Word], layout: Layout, *, seconds: float, language: str = "und", gap: int = 80
) -> list[str]:
    """The names of the rules that are broken, each as often as it is."""
    spoken = Spoken.of(words)
    if "".join(letters("".join(cue.lines)) for cue in cues) != "".join(spoken.texts):
        return ["a word is lost"]
    spans = spoken.spans(cues)
    nexts = [cue.start for cue in cues[1:]]
    found = [name for cue in cues for name in [*_shape(cue, layout), *_time(cue, seconds)]]
    found += [name for before, after in pairwise(cues) for name in _distance(after.start - before.end, gap)]
    for cue, span, following in zip(cues, spans, [*nexts, None], strict=True):
        found += _against_speech(cue, span, following, gap)
    return found + _breaks(cues, language)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1 for char in text)


def _shape(cue: Cue, layout: Layout) -> list[str]:
    return [
        *["more than two lines"] * (len(cue.lines) > 2 or not cue.lines),
        *["a line too long" for line in cue.lines if _width(line) > layout.columns],
        *["a line of nothing" for line in cue.lines if not line.strip()],
        *["a last line that is a number"] * (len(cue.lines) > 1 and cue.lines[-1].isdecimal()),
    ]


def _time(cue: Cue, seconds: float) -> list[str]:
    shown = cue.end - cue.start
    return [
        *["outside the clip"] * (cue.start < 0 or cue.end > seconds * 1000 + 0.001),
        *["shown too shortly"] * (shown < SHORTEST),
        *["shown too long"] * (shown > LONGEST),
        *["too fast to read"] * (sum(map(_width, cue.lines)) * 1000 > CADENCE * shown),
    ]


def _distance(between: int, gap: int) -> list[str]:
    if between < 0:
        return ["overlap"]
    return ["less than two frames apart"] * (between < gap) + ["a small gap"] * (gap < between < SMALL_GAP)


def _against_speech(cue: Cue, span: tuple[float, float], following: int | None, gap: int) -> list[str]:
    first, last = span
    closes = following is not None and following - cue.end <= gap
    reading = sum(map(_width, cue.lines)) + len(cue.lines) - 1
    longest = max(last + HOLD, cue.start + SHORTEST + 1, cue.start + reading * 1000 / CADENCE)
    return [
        *["before its first word"] * (cue.start < int(first)),
        *["after its first word"] * (cue.start > first + LATE),
        *["gone before its last word"] * (cue.end < last - 0.001 and not closes and cue.end - cue.start < LONGEST),
        *["held too long"] * (cue.end > longest + 1 and not closes),
    ]


def _breaks(cues: Sequence[Cue], language: str) -> list[str]:
    lines = [line for cue in cues for line in cue.lines]
    found = ["a line begins with punctuation" for line in lines if line[0] in NO_LINE_BEGINS_WITH]
    found += ["a line ends with an opening" for line in lines if line[-1] in NO_LINE_ENDS_WITH]
    found += ["article parted from its noun" for line in lines[:-1] if line.split()[-1].lower() in ARTICLES.get(language, ())]
    if language == "de":
        return found  # its nouns are all capitalised: nothing tells a name
    return found + ["name parted from surname" for above, below in pairwise(lines) if _is_name(above.split(), below.split())]


def _is_name(above: list[str], below: list[str]) -> bool:
    """Both capitalised, neither "I", and the first is seen not to begin a sentence."""
    if len(above) < 2 or above[-2][-1] in ".?!…":
        return False
    return all(word.istitle() and word.isalpha() and word != "I" for word in (above[-1], below[0].rstrip(".,?!…")))
