"""How much work waits, and how the workers are: whether there is room for another job, and if not, when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.domain.events import StageName
from libs.common.domain.worker_reports import SILENT_AFTER, WorkerReport

SOONEST, LATEST = 1.0, 60.0
"""Seconds of the shortest and the longest Retry-After."""
FIRST_GUESS = 5.0
MOST_WORKERS = 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: `at` in seconds of any clock, the room found then (jobs; below 0 beyond the mark), the jobs taken on until then."""

    at: float
    room: int
    taken: int


def seconds_until_room(samples: Sequence[Sample], room: int) -> float:
    """When one more job fits, at the pace at which room was made between the first sample and the last.

    What was taken on meanwhile took room too. Where none was made, the longer that lasted, the longer the wait.
    """
    if not samples:
        return FIRST_GUESS
    first, last = samples[0], samples[-1]
    made, seconds = last.room - first.room + last.taken - first.taken, last.at - first.at
    wait = (1 - room) * seconds / made if made > 0 else max(FIRST_GUESS, seconds)
    return min(LATEST, max(SOONEST, wait))


@dataclass(slots=True)
class Crews:
    """The workers as they reported themselves. Times are seconds of any clock."""

    heard: dict[tuple[StageName, str], tuple[float, bool]] = field(default_factory=dict)

    def hear(self, stage: StageName, report: WorkerReport, now: float) -> None:
        self.forget_silent(now)
        if len(self.heard) < MOST_WORKERS or (stage, report.worker) in self.heard:
            self.heard[stage, report.worker] = (now, report.full)

    def full(self, now: float) -> list[StageName]:
        """Stages whose every worker is full. One that nobody reports for is not: it may only be restarting."""
        self.forget_silent(now)
        open_ones = {stage for (stage, _), (_, full) in self.heard.items() if not full}
        return sorted({stage for stage, _ in self.heard} - open_ones)

    def forget_silent(self, now: float) -> None:
        self.heard = {worker: said for worker, said in self.heard.items() if now - said[0] < SILENT_AFTER}
