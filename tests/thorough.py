"""How much of a sweep is run: `make test` takes some of its cases, `make test-thorough` all of them."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

IS_THOROUGH = os.environ.get("THOROUGH") == "1"


def some(cases: Sequence[T], count: int) -> Sequence[T]:
    """All of them when thorough; else so many, spread evenly, the first and the last among them. `count` is 2 or more."""
    if IS_THOROUGH or len(cases) <= count:
        return cases
    return [cases[round(place * (len(cases) - 1) / (count - 1))] for place in range(count)]
