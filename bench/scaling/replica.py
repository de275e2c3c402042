"""One replica of a stage: takes so many jobs at once, which share its cores; those that encode or recognise wait for their turn. Pure.

Jobs at work get equal shares, so one clock of work done for each tells when the next one ends.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What each replica of a pool has: jobs at once, cores, cores that one job can use; of jobs that take turns `turns` work at once."""

    slots: int
    cores: float
    cores_a_job: float
    turns: int


@dataclass(slots=True, eq=False)
class Replica:
    """At work: (work on the clock at which it ends, job, whether it took a turn). Work is CPU seconds of one job."""

    worker: Worker
    is_ready: bool = False
    is_ending: bool = False
    clock: float = 0.0
    seen: float = 0.0
    version: int = 0
    """Changes with what is at work: an end that was reckoned before is none."""
    at_work: list[tuple[float, int, bool]] = field(default_factory=list)
    waiting: deque[tuple[float, int]] = field(default_factory=deque)
    """For a turn: (work, job)."""

    @property
    def in_hand(self) -> int:
        return len(self.at_work) + len(self.waiting)

    @property
    def takes(self) -> bool:
        return self.is_ready and not self.is_ending and self.in_hand < self.worker.slots

    def speed(self, *, stands: bool) -> float:
        """CPU seconds a second that each job at work gets."""
        return 0.0 if stands or not self.at_work else min(self.worker.cores_a_job, self.worker.cores / len(self.at_work))

    def go_on(self, now: float, *, stands: bool) -> None:
        """To be called before anything changes; `stands` is how it was until now."""
        self.clock += (now - self.seen) * self.speed(stands=stands)
        self.seen = now
        self.version += 1

    def take(self, job: int, work: float, *, in_turn: bool = False) -> None:
        if in_turn and sum(turn for *_, turn in self.at_work) >= self.worker.turns:
            self.waiting.append((work, job))
        else:
            heapq.heappush(self.at_work, (self.clock + work, job, in_turn))

    def finish(self) -> int:
        """The job that is done first, and now; its turn goes to the one that has waited longest."""
        self.clock, job, in_turn = heapq.heappop(self.at_work)
        if in_turn and self.waiting:
            work, following = self.waiting.popleft()
            heapq.heappush(self.at_work, (self.clock + work, following, True))
        return job

    def next_end(self, *, stands: bool) -> float | None:
        """Seconds from what was seen last."""
        speed = self.speed(stands=stands)
        return max(0.0, self.at_work[0][0] - self.clock) / speed if speed else None

    def hand_back(self) -> Iterator[int]:
        while self.at_work:
            yield heapq.heappop(self.at_work)[1]
        while self.waiting:
            yield self.waiting.popleft()[1]
