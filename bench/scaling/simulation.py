"""The stages' queues, replicas and autoscalers as discrete events: what becomes of a plan of requests. Pure; equal seeds, equal runs.

Left out: lanes (one queue a stage, first come first served), failing jobs, S3 and the network as limits, nodes without room.
"""

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from bench.scaling.autoscaler import SYNC_SECONDS, Autoscaler, Rules
from bench.scaling.replica import Replica, Worker

START_SECONDS = 30.0
"""Assumed: from the decision to a ready pod, its image and its node at hand."""
DRAIN_SECONDS = 25.0
"""WORKER_SHUTDOWN_TIMEOUT_MS of deploy/k8s."""
AGAIN_SECONDS = 10.0
"""A client that was refused comes back after that."""


class Step(NamedTuple):
    """CPU seconds that a pool is asked for. `in_turn`: it encodes or recognises."""

    pool: str
    work: float
    in_turn: bool = False


Route = Sequence[Step]
"""In order: a message for each stage that the job asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`requests`: (seconds, route). `standstill`: a pool that does nothing for a time. `watermark`: jobs at which the API refuses."""

    requests: Sequence[tuple[float, Route]]
    seconds: float
    standstill: tuple[str, float, float] | None = None
    watermark: int | None = None


@dataclass(slots=True, eq=False)
class Pool:
    """One deployment and its queue."""

    worker: Worker
    scaler: Autoscaler
    queue: deque[int] = field(default_factory=deque)
    replicas: list[Replica] = field(default_factory=list)
    stands: bool = False

    @property
    def standing(self) -> list[Replica]:
        """As the deployment counts them."""
        return [replica for replica in self.replicas if not replica.is_ending]

    @property
    def lag(self) -> int:
        return len(self.queue) + sum(replica.in_hand for replica in self.replicas)


@dataclass(slots=True)
class Seen:
    """What came of it. Times are seconds from the first request of a job to its end, refusals included; lags are messages in the stream."""

    waits: dict[int, float] = field(default_factory=dict)
    accepted: int = 0
    refusals: int = 0
    handed_back: int = 0
    replicas: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """At each decision."""
    lags: list[tuple[float, int]] = field(default_factory=list)


class Simulation:
    """One run. Events: (time, number, what to do)."""

    def __init__(self, pools: Mapping[str, tuple[Worker, Rules]], plan: Plan) -> None:
        self.plan, self.seen, self.now = plan, Seen(replicas={name: [] for name in pools}), 0.0
        self.pools = {name: Pool(worker, Autoscaler(rules)) for name, (worker, rules) in pools.items()}
        self.ahead: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.numbers = count()
        self.steps: dict[int, int] = {}
        """Jobs in the system, and how far along their routes they are."""
        for pool in self.pools.values():
            pool.replicas = [Replica(pool.worker, is_ready=True) for _ in range(pool.scaler.rules.minimum)]

    def at(self, seconds: float, act: Callable[..., None], *what: Any) -> None:
        heapq.heappush(self.ahead, (seconds, next(self.numbers), act, what))

    def run(self) -> Seen:
        for job, (seconds, _) in enumerate(self.plan.requests):
            self.at(seconds, self.ask, job)
        self.at(SYNC_SECONDS, self.scale)
        if self.plan.standstill:
            name, since, until = self.plan.standstill
            self.at(since, self.stand, self.pools[name], True)  # noqa: FBT003  an event's argument
            self.at(until, self.stand, self.pools[name], False)  # noqa: FBT003  the same
        while self.ahead:
            self.now, _, act, what = heapq.heappop(self.ahead)
            act(*what)
        return self.seen

    def ask(self, job: int) -> None:
        if self.plan.watermark is not None and len(self.steps) >= self.plan.watermark:
            self.seen.refusals += 1
            return self.at(self.now + AGAIN_SECONDS, self.ask, job)
        self.seen.accepted += 1
        self.enter(job, 0)

    def enter(self, job: int, step: int) -> None:
        """The next pool, or the end."""
        requested, route = self.plan.requests[job]
        if step == len(route):
            self.seen.waits[job] = self.now - requested
            del self.steps[job]
            return
        self.steps[job] = step
        pool = self.pools[route[step].pool]
        pool.queue.append(job)
        if len(pool.queue) == 1:  # else nobody is free
            self.pull(pool, pool.replicas)

    def pull(self, pool: Pool, by: Sequence[Replica]) -> None:
        """Of those that may be free the one with least in hand gets the next message, as long as someone takes one."""
        while pool.queue and not pool.stands and (free := [replica for replica in by if replica.takes]):
            replica = min(free, key=lambda one: one.in_hand)
            job = pool.queue.popleft()
            replica.go_on(self.now, stands=pool.stands)
            step = self.plan.requests[job][1][self.steps[job]]
            replica.take(job, step.work, in_turn=step.in_turn)
            self.look_ahead(pool, replica)

    def look_ahead(self, pool: Pool, replica: Replica) -> None:
        if (left := replica.next_end(stands=pool.stands)) is not None:
            self.at(self.now + left, self.end, pool, replica, replica.version)

    def end(self, pool: Pool, replica: Replica, version: int) -> None:
        if version != replica.version:
            return
        replica.go_on(self.now, stands=pool.stands)
        job = replica.finish()
        self.look_ahead(pool, replica)
        if replica.is_ending and not replica.in_hand:
            pool.replicas.remove(replica)
        self.enter(job, self.steps[job] + 1)
        self.pull(pool, [replica])

    def scale(self) -> None:
        for name, pool in self.pools.items():
            standing = pool.standing
            decided = pool.scaler.decide(self.now, len(standing), pool.lag)
            self.seen.replicas[name].append((self.now, decided))
            self.grow(pool, decided - len(standing))
            self.shrink(pool, standing[decided:])
        self.seen.lags.append((self.now, len(self.steps)))
        if len(self.seen.waits) < len(self.plan.requests) or self.now < self.plan.seconds:
            self.at(self.now + SYNC_SECONDS, self.scale)

    def grow(self, pool: Pool, by: int) -> None:
        for _ in range(by):
            replica = Replica(pool.worker, seen=self.now)
            pool.replicas.append(replica)
            self.at(self.now + START_SECONDS, self.begin, pool, replica)

    def begin(self, pool: Pool, replica: Replica) -> None:
        replica.is_ready = True
        self.pull(pool, [replica])

    def shrink(self, pool: Pool, ending: Sequence[Replica]) -> None:
        """The youngest go; each has its time to finish what it has."""
        for replica in ending:
            replica.is_ending = True
            if replica.in_hand:
                self.at(self.now + DRAIN_SECONDS, self.stop, pool, replica)
            else:
                pool.replicas.remove(replica)

    def stop(self, pool: Pool, replica: Replica) -> None:
        """What it could not finish is begun anew by another."""
        if not replica.in_hand:
            return
        replica.go_on(self.now, stands=pool.stands)
        jobs = list(replica.hand_back())
        self.seen.handed_back += len(jobs)
        pool.replicas.remove(replica)
        pool.queue.extendleft(reversed(jobs))
        self.pull(pool, pool.replicas)

    def stand(self, pool: Pool, stands: bool) -> None:  # noqa: FBT001  an event's argument
        for replica in pool.replicas:
            replica.go_on(self.now, stands=pool.stands)
        pool.stands = stands
        for replica in pool.replicas:
            self.look_ahead(pool, replica)
        self.pull(pool, pool.replicas)
