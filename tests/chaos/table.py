"""The rows of the table: a fault, how often it struck, what became of the jobs, and how long the recovery took beside its bound."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.chaos.checker import Finding, Kind, Problem

KINDS: tuple[Kind, ...] = ("lost", "duplicate", "stuck", "orphan")
HEAD = ("fault", "times", "jobs", "lost", "duplicates", "stuck", "orphans", "charged", "recovery p50", "max", "bound")


@dataclass
class Case:
    """One fault of a run. `recoveries` in seconds; `broken` are promises besides exactness that were not kept, in words."""

    fault: str
    times: int = 0
    bound: float | None = None
    uncharged: bool = False
    """Whether it must not cost any attempt."""
    jobs: set[UUID] = field(default_factory=set)
    recoveries: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TableRow:
    fault: str
    times: int
    jobs: int
    counts: tuple[int, ...]
    """By KINDS."""
    charged: int = 0
    recoveries: Sequence[float] = ()
    bound: float | None = None
    broken: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def is_exact(self) -> bool:
        late = self.bound is not None and any(recovery > self.bound for recovery in self.recoveries)
        return not (any(self.counts) or self.broken or late)

    @property
    def cells(self) -> tuple[str, ...]:
        times = (f"{statistics.median(self.recoveries):.1f} s", f"{max(self.recoveries):.1f} s") if self.recoveries else ("-", "-")
        bound = "-" if self.bound is None else f"{self.bound:g} s"
        return (self.fault, *map(str, (self.times, self.jobs, *self.counts, self.charged)), *times, bound)

    def as_json(self) -> dict[str, Any]:
        counts = dict(zip(("lost", "duplicates", "stuck", "orphans"), self.counts, strict=True))
        recovery = {"recovery_p50": statistics.median(self.recoveries), "recovery_max": max(self.recoveries)} if self.recoveries else {}
        about = {"fault": self.fault, "times": self.times, "jobs": self.jobs, **counts, "charged": self.charged, **recovery}
        return {**about, "bound": self.bound, "broken": list(self.broken), "notes": list(self.notes), "exact": self.is_exact}


def rows_of(cases: Iterable[Case], finding: Finding, whole: str) -> list[TableRow]:
    """A row for each case; what belongs to no case stands in one for the run as a whole, where there is any."""
    made, charged = [], finding.charged
    for case in cases:
        cost = sum(charged.get(job_id, 0) for job_id in case.jobs)
        broken = [*case.broken, *([f"{cost} attempts were charged"] if case.uncharged and cost else [])]
        counts = _counts(problem for problem in finding.problems if problem.job_id in case.jobs)
        made.append(TableRow(case.fault, case.times, len(case.jobs), counts, cost, case.recoveries, case.bound, broken, case.notes))
    covered = set().union(*(case.jobs for case in cases))
    others = [job_id for job_id in finding.jobs if job_id not in covered]
    rest = _counts(problem for problem in finding.problems if problem.job_id not in covered)
    if others or any(rest):
        made.append(TableRow(whole, 0, len(others), rest))
    return made


def _counts(problems: Iterable[Problem]) -> tuple[int, ...]:
    found = [problem.kind for problem in problems]
    return tuple(found.count(kind) for kind in KINDS)


def table(rows: Sequence[TableRow]) -> str:
    """In columns; what was not exact is marked, and said below."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEAD))]
    drawn = [
        "  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    marked = [drawn[0], *(f"{line}{'' if row.is_exact else '  <- not exact'}" for line, row in zip(drawn[1:], rows, strict=True))]
    said = [f"  {row.fault}: {text}" for row in rows for text in (*row.broken, *row.notes)]
    return "\n".join([*marked, *said])
