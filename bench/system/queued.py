"""Row 12: as many jobs as are asked for at once, over HTTP, until the client has heard of the last one's end; and one after the other."""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.cutting.cuts import Cut
from bench.figures import Figure, Verdict, milliseconds, percentile
from bench.processes import children, tree_cpu
from bench.system.client import Ran, run, wrong
from bench.system.session import Session
from clipstream.job_options import JobOptions

LOOKED_AT = 3
"""Clips of each load whose pictures are all decoded; of the others the index is asked."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Jobs of one sort, and the seconds that 95 in a hundred of them may take when they are queued together."""

    name: str
    cuts: Iterator[Cut]
    limit: float | None = None
    options: JobOptions = field(default_factory=JobOptions)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of jobs that were asked for together. `cpu`: seconds, of the whole stack; `faults`: what is wrong with their results."""

    jobs: Sequence[Ran]
    cpu: float
    faults: Sequence[str]

    @property
    def p95(self) -> float:
        return percentile([job.seconds for job in self.jobs], 0.95)


async def measure(session: Session) -> list[Figure]:
    kinds = (
        Kind("30 s at keyframes", session.keyed, 3.0),
        Kind("30 s anywhere", session.loose),
        Kind("30 s at keyframes, subtitles", session.unheard, 20.0, {"with_subtitles": True}),
    )
    for kind in kinds:
        await load(session, kind, 1)
    alone = [(await load(session, kinds[0], 1, decoded=0)).jobs[0] for _ in range(session.size.alone)]
    loads: dict[str, list[Load]] = {kind.name: [] for kind in kinds}
    for _ in range(session.size.rounds):
        for kind in kinds:
            loads[kind.name].append(await load(session, kind, session.size.at_once))
    at_once = [_figure(kind, loads[kind.name]) for kind in kinds]
    return [*at_once, *_hops("one after the other", alone), *_hops("queued at once", _jobs(loads[kinds[0].name]))]


async def load(session: Session, kind: Kind, count: int, *, decoded: int = LOOKED_AT) -> Load:
    """So many at once; results are looked at when all of them are there."""
    before = _cpu()
    jobs = await asyncio.gather(*(run(session.client, session.source, next(kind.cuts), **kind.options) for _ in range(count)))
    cpu = _cpu() - before
    chosen = set(random.Random(count).sample(range(count), min(decoded, count)))
    found = [await wrong(session.client, job, session.folder / kind.name, is_decoded=number in chosen) for number, job in enumerate(jobs)]
    return Load(jobs, cpu, [fault for faults in found for fault in faults])


def _cpu() -> float:
    """Of all processes of the stack so far: this very process is the parent of them all."""
    return sum(tree_cpu(pid) for pid in children(os.getpid()))


def _figure(kind: Kind, loads: Sequence[Load]) -> Figure:
    """The median of the rounds' 95th percentiles. A wrong clip is a miss, however quick it came."""
    p95, jobs = median(load.p95 for load in loads), _jobs(loads)
    faults = [fault for load in loads for fault in load.faults]
    verdict: Verdict = "not judged"
    if kind.limit is not None or faults:
        verdict = "missed" if faults or p95 > (kind.limit or 0) else "reached"
    return Figure(
        row="12",
        what=f"{kind.name}: {len(loads[0].jobs)} jobs queued at once, request to end, p95",
        ours=f"{p95:.2f} s",
        target=f"<= {kind.limit:g} s" if kind.limit else "",
        verdict=verdict,
        detail=f"{_told(loads, jobs)}; "
        + (f"WRONG: {faults[0]}" if faults else f"clips have their pictures by their indexes, {LOOKED_AT} a round by their numbers"),
    )


def _told(loads: Sequence[Load], jobs: Sequence[Ran]) -> str:
    seconds, cpu = [job.seconds for job in jobs], sum(load.cpu for load in loads) / len(jobs)
    p95s = ", ".join(f"{load.p95:.2f}" for load in loads)
    of_all = f"of all p50 {percentile(seconds, 0.5):.2f} s, most {max(seconds):.2f} s"
    return f"p95 by rounds {p95s} s; {of_all}; {cpu:.2f} s of the stack's CPU a job"


def _jobs(loads: Sequence[Load]) -> list[Ran]:
    return [job for load in loads for job in load.jobs]


def _hops(how: str, jobs: Sequence[Ran]) -> list[Figure]:
    done = [job for job in jobs if job.is_done]
    return [
        _hop(f"request to the first stage's start, {how}", [job.until_begun for job in done]),
        _hop(f"last event to the client's server-sent event, {how}", [job.last_hop for job in done]),
        _hop(f"request to the client's last event, {how}", [job.seconds for job in done]),
    ]


def _hop(what: str, seconds: Sequence[float]) -> Figure:
    """Events tell the time of their making, which is before their commit."""
    p50, p95 = (milliseconds(percentile(seconds, part)) for part in (0.5, 0.95)) if seconds else ("none", "none")
    return Figure(row="12", what=what, ours=f"p50 {p50}, p95 {p95}", detail=f"{len(seconds)} jobs, 30 s of 720p at keyframes")
