"""Which ten seconds are asked for, and how far a clip's pictures are from those that belong to it. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = 10
OFF_GRID = 0.014
"""Seconds before a picture, less than half of one: under every reading of "at or after start" it is the first."""


@dataclass(frozen=True, slots=True)
class Range:
    """The pictures `first` and on, `count` of them, of `rate` a second; asked for from up to 14 ms before the first one on."""

    first: int
    count: int
    rate: int
    early: float = 0.0

    @property
    def start(self) -> float:
        """Seconds; whole milliseconds, as a client's are."""
        return round(self.first / self.rate - self.early, 3)

    @property
    def end(self) -> float:
        return round((self.first + self.count) / self.rate - self.early, 3)

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


def ranges(seconds: int, rate: int, count: int, *, seed: int) -> list[Range]:
    """The first from the middle of so many seconds, the others from anywhere, every other one off the pictures' times."""
    chance, length = random.Random(seed), SECONDS * rate
    anywhere = (chance.randrange(1, seconds * rate - length) for _ in range(count - 1))
    return [
        Range((seconds * rate - length) // 2, length, rate),
        *(Range(first, length, rate, chance.uniform(0, OFF_GRID) * (n % 2)) for n, first in enumerate(anywhere)),
    ]


def off_by(found: Sequence[int], wanted: Range) -> int:
    """Pictures that are missing, too many or at a wrong place; 0 for an exact clip."""
    if list(found) == list(wanted.numbers):
        return 0
    return max(1, len(set(found) ^ set(wanted.numbers)))
