"""Where running text may be parted, between cues or between lines: a cost for each boundary. Pure. The scale is that of cues.py."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.asr.closed_classes import CLOSED_CLASSES, NONE, ClosedClasses
from services.asr.units import CLOSING, OPENING, SMALL_KANA, Unit

FORBIDDEN = 1000.0
"""A line would begin with closing punctuation or end with an opening bracket."""
NEVER = 200.0
"""Article and noun, name and surname, the pieces of one word."""
BOUND = 45.0
"""After a preposition, a conjunction, a pronoun, an auxiliary."""
PLAIN = 20.0
BEFORE_PREPOSITION = 10.0
BEFORE_CONJUNCTION = 8.0
AFTER_CLAUSE = 3.0
AFTER_SENTENCE = 0.0

CAPITALISES_NOUNS = frozenset({"de", "lb"})
"""Two capitals in a row are no name there."""
PAUSE_SECONDS = 0.5
PAUSED = 0.3
"""What is left of a boundary's cost where the speaker pauses; what may never be parted is not by a pause either."""
SPANNED_SENTENCE = 15.0
"""Of a cue that goes on beyond a sentence's end; the next three beyond a pause of 0.5, 1 and 2 s."""
SPANNED_PAUSES = ((2.0, 60.0), (1.0, 40.0), (PAUSE_SECONDS, 10.0))

_QUOTES = "\"'\u201d\u2019»)\\]"
_SENTENCE_END = re.compile(f"[.!?…。؟\u06d4।॥\u0589።။។][{_QUOTES}]*$")
_CLAUSE_END = re.compile(f"[,;:،؛、፣၊\u2014\u2013-][{_QUOTES}]*$")
_ABBREVIATION = re.compile(r"(?:\w|mr|mrs|ms|dr|st|prof|sr|jr|hr|mme|mlle|sra|dra|dott|sig|ing|vs|ca)\.", re.IGNORECASE)
"""Titles and initials: a name follows, not a sentence."""

_LAST_SPACED = "\u3000"
"""Above are Kana and Han, and what is written like them."""


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Of the boundary before each unit: what a cue's end there costs, a line's end, and a cue that goes on beyond it."""

    cue_end: list[float]
    line_end: list[float]
    spanned: list[float]


def boundaries(units: Sequence[Unit], language: str) -> Boundaries:
    """For each unit, the boundary before it; the first unit has none and costs nothing."""
    classes = CLOSED_CLASSES.get(language, NONE)
    texts = [unit.word.text for unit in units]
    ends = [_ends_sentence(text) for text in texts]
    names = [False] * len(units)
    for n in range(1, len(units)):
        names[n] = language not in CAPITALISES_NOUNS and not ends[n - 1] and _is_name(texts[n])
    line_end = [
        0.0,
        *(_cost(units[n], texts[n - 1], texts[n], ends[n - 1], names[n - 1] and names[n], classes) for n in range(1, len(units))),
    ]
    pauses = [0.0, *(units[n].word.start - units[n - 1].word.end for n in range(1, len(units)))]
    return Boundaries(
        cue_end=[_after(pause, cost) for pause, cost in zip(pauses, line_end, strict=True)],
        line_end=line_end,
        spanned=[0.0, *(_spanned(pauses[n], is_end=ends[n - 1]) for n in range(1, len(units)))],
    )


def _cost(unit: Unit, left: str, right: str, is_end: bool, are_names: bool, classes: ClosedClasses) -> float:  # noqa: FBT001  one call
    if right[0] in CLOSING or right[0] in SMALL_KANA or left[-1] in OPENING:
        return FORBIDDEN
    if is_end:
        return AFTER_SENTENCE
    if _CLAUSE_END.search(left):
        return AFTER_CLAUSE
    if unit.is_piece or are_names or _ABBREVIATION.fullmatch(left) or _bare(left) in classes.articles:
        return NEVER
    return _between(_bare(left), _bare(right), classes) if right.islower() else _before_capital(left, right, classes)


def _before_capital(left: str, right: str, classes: ClosedClasses) -> float:
    """A small word with a capital begins a sentence: the one before lacks its full stop."""
    return AFTER_CLAUSE if right[0].isupper() and _bare(right) in classes.opening else _between(_bare(left), _bare(right), classes)


def _between(left: str, right: str, classes: ClosedClasses) -> float:
    if left[-1:] > _LAST_SPACED and right[:1] > _LAST_SPACED:
        return _between_kana(left[-1], right[0])
    if left in classes.prepositions or left in classes.conjunctions or left in classes.binding:
        return BOUND
    if right in classes.conjunctions:
        return BEFORE_CONJUNCTION
    return BEFORE_PREPOSITION if right in classes.prepositions else PLAIN


def _between_kana(left: str, right: str) -> float:
    """Japanese without a dictionary: a phrase ends with hiragana, its particle; a word in katakana is not parted."""
    if _is_katakana(left) and _is_katakana(right):
        return BOUND
    return BEFORE_PREPOSITION if _is_hiragana(left) and not _is_hiragana(right) else PLAIN


def _is_hiragana(char: str) -> bool:
    return "\u3041" <= char <= "\u309f"


def _is_katakana(char: str) -> bool:
    return "\u30a1" <= char <= "\u30ff"


def _bare(text: str) -> str:
    return text.replace("\u2019", "'").lower().strip('"\u201c\u201d«»()[]¿¡-\u2013\u2014')


def _ends_sentence(text: str) -> bool:
    return bool(_SENTENCE_END.search(text)) and not _ABBREVIATION.fullmatch(text)


def _is_name(text: str) -> bool:
    """Capitalised, but neither "I" nor shouted: it may be a name if no sentence begins with it."""
    bare = text.strip("\"'\u201c\u201d\u2018\u2019«»()[],;:")
    return bare[:1].isupper() and bare[1:2] not in {"'", "\u2019"} and (bare[1:].lower() == bare[1:] or not bare.isupper()) and bare != "I"


def _after(pause: float, cost: float) -> float:
    return cost * PAUSED if pause >= PAUSE_SECONDS and cost < NEVER else cost


def _spanned(pause: float, *, is_end: bool) -> float:
    paused = next((cost for least, cost in SPANNED_PAUSES if pause >= least), 0.0)
    return paused + (SPANNED_SENTENCE if is_end else 0.0)
