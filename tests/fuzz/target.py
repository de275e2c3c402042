"""A parser under attack: what it is given, what it may raise, and what one input may cost."""

import gc
import resource
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

LARGEST = 64 << 10
MOST_SECONDS = 1.0
"""Of processor time for one input."""
MOST_MEMORY = 200 << 20


class TooDear(AssertionError):
    """One input took too long, or too much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`allowed`: how the parser says no; anything else that it raises is a crash. `seeds` are real inputs to begin with."""

    name: str
    run: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]


def attempt(target: Target, data: bytes) -> None:
    """Raises what the parser may not raise, and TooDear."""
    began, peak = time.process_time(), _peak()
    with suppress(*target.allowed):
        target.run(data)
    took, grew = time.process_time() - began, _peak() - peak
    if took > MOST_SECONDS and _takes_again(target, data) > MOST_SECONDS:
        raise TooDear(f"{target.name}: {len(data)} bytes took {took:.1f} s")
    if grew > MOST_MEMORY:
        raise TooDear(f"{target.name}: {len(data)} bytes took {grew >> 20} MiB")


def _takes_again(target: Target, data: bytes) -> float:
    """Without what else was going on, such as a collection of all garbage."""
    gc.collect()
    began = time.process_time()
    with suppress(*target.allowed):
        target.run(data)
    return time.process_time() - began


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
