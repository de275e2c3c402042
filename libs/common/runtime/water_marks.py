"""Pure: when the use of a resource is worth a word, and when that word is taken back."""

from enum import IntEnum


class Level(IntEnum):
    FINE = 0
    HIGH = 1
    URGENT = 2


MARKS = {Level.URGENT: 0.95, Level.HIGH: 0.8}
BACK = 0.05
"""How far under its mark a level ends: use that swings about a mark is told once."""


def level_after(before: Level, ratio: float) -> Level:
    """`ratio`: use by limit."""
    return next((level for level, mark in MARKS.items() if ratio >= (mark - BACK if before >= level else mark)), Level.FINE)
