"""How a file is cut into parts, and which of them are still to come. Pure; sizes in bytes, parts count from 1."""

from collections.abc import Collection
from dataclasses import dataclass

MIB = 1024 * 1024
ONE_PART = 64 * MIB
"""Up to this size a file goes in one request, unless the client wants parts."""
SMALLEST = 8 * MIB
"""S3 takes no smaller parts than 5 MiB, but for the last."""
LARGEST = 5 * 1024 * MIB
"""S3's own limit (qfacts, "Part size")."""
USUAL_COUNT = 100
"""A break then costs a hundredth of the file, and an answer with all the URLs stays below 100 KB."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    number: int
    size: int


def part_size(size: int, *, in_parts: bool) -> int:
    """Of a file of this size."""
    if size <= ONE_PART and not in_parts:
        return size
    share = -(-size // USUAL_COUNT)
    return min(max(-(-share // MIB) * MIB, SMALLEST), LARGEST)


def parts_of(size: int, each: int) -> tuple[Part, ...]:
    """The whole file, in order."""
    return tuple(Part(number, min(each, size - start)) for number, start in enumerate(range(0, size, each), 1))


def missing(plan: Collection[Part], there: Collection[Part]) -> tuple[Part, ...]:
    """What is planned and not there with just its size."""
    return tuple(sorted(set(plan) - set(there)))


def told(parts: Collection[Part]) -> str:
    """Their numbers for people, runs as runs: "1-3, 7"."""
    runs: list[list[int]] = []
    for number in sorted(part.number for part in parts):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(str(number) for number in run) for run in runs)
