"""One call after the other, on all databases in turns: what it costs there, and whether that grows."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from bench.figures import Figure, Verdict, at_most
from bench.growth.calls import Call
from bench.growth.population import Population
from bench.growth.system import Cost, System

TARGET = 1.2
MOST_BUFFERS = 1.5
"""An index is a page deeper for some hundred times as many rows."""
WARM = 8
"""Calls before the first round: by then Postgres has chosen whether a statement is planned anew each time."""
MOST_CALLS = 100
ROW = "14"


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds, and the seconds that one takes where it takes longest."""

    rounds: int = 5
    seconds: float = 0.12


@dataclass(slots=True)
class Found:
    """Of one call on one database: cost and p50 of each round, seconds; buffers of one call; whether its first answer was right."""

    is_right: bool
    buffers: int
    costs: list[Cost] = field(default_factory=list)
    p50s: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        return median(cost.cpu for cost in self.costs)

    @property
    def postgres(self) -> float:
        return median(cost.postgres for cost in self.costs)

    @property
    def p50(self) -> float:
        return median(self.p50s)


Systems = Mapping[Population, System]


async def compared(call: Call, systems: Systems, size: Rounds, what: str) -> Figure:
    """`what` the databases differ in."""
    numbers: Mapping[Population, Iterator[int]] = {population: count() for population in systems}
    found, slowest = dict[Population, Found](), 0.0
    for population, system in systems.items():
        found[population], seconds = await _begun(call, system, numbers[population])
        slowest = max(slowest, seconds)
    each = max(3, min(MOST_CALLS, int(size.seconds / slowest)))
    for _ in range(size.rounds):
        for population, system in systems.items():
            await _round(call, system, numbers[population], each, found[population])
    return _figure(call, found, what)


async def _begun(call: Call, system: System, numbers: Iterator[int]) -> tuple[Found, float]:
    """Judged, warm, and its plans seen; with the seconds that a call takes now."""
    is_right = call.is_right(await call.run(system, next(numbers)))
    took = [await _timed(call, system, next(numbers)) for _ in range(WARM)]
    async with system.explained() as plans:
        await call.run(system, next(numbers))
    await system.api.intake.settled()
    return Found(is_right, plans.buffers), median(took)


async def _round(call: Call, system: System, numbers: Iterator[int], each: int, found: Found) -> None:
    before = system.spent()
    took = [await _timed(call, system, next(numbers)) for _ in range(each)]
    await system.api.intake.settled()
    spent = system.spent()
    found.costs.append(Cost((spent.service - before.service) / each, (spent.postgres - before.postgres) / each))
    found.p50s.append(median(took))


async def _timed(call: Call, system: System, number: int) -> float:
    began = time.perf_counter()
    await call.run(system, number)
    return time.perf_counter() - began


def _figure(call: Call, found: Mapping[Population, Found], what: str) -> Figure:
    ordered = list(found.values())
    wrong = [population.name for population, one in found.items() if not one.is_right]
    ratio, target, verdict = _judged(call, ordered)
    return Figure(
        row=ROW,
        what=call.name,
        ours=_microseconds(ordered[-1].cpu),
        peer=", ".join(_microseconds(one.cpu) for one in ordered[:-1]),
        ratio=ratio,
        target=target,
        verdict="missed" if wrong else verdict,
        detail=f"CPU by {what}; {_told(ordered)}" + (f"; WRONG ANSWER: {', '.join(wrong)}" if wrong else ""),
    )


def _judged(call: Call, ordered: Sequence[Found]) -> tuple[float, str, Verdict]:
    """CPU by that of the smallest database; buffers by the next smaller one's, since the smallest has too few pages to need indexes."""
    last = ordered[-1]
    if call.judged == "buffers":
        ratio = last.buffers / ordered[-2].buffers
        target, verdict = at_most(ratio, MOST_BUFFERS)
        return ratio, f"{target} buffers", verdict
    ratio = last.cpu / ordered[0].cpu
    return (ratio, *at_most(ratio, TARGET)) if call.judged == "cpu" else (ratio, "", "not judged")


def _told(ordered: Sequence[Found]) -> str:
    p50s, postgres = (", ".join(_microseconds(getattr(one, name)) for one in ordered) for name in ("p50", "postgres"))
    return f"p50 {p50s}; Postgres alone {postgres}; buffers {', '.join(str(one.buffers) for one in ordered)}"


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us"
