"""Loads to put on the simulated stages, and what is told of each run. Pure; the seed decides."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.figures import percentile
from bench.scaling.autoscaler import Rules
from bench.scaling.capacity import Mix
from bench.scaling.measured import Quantiles, drawn
from bench.scaling.replica import Worker
from bench.scaling.simulation import Plan, Route, Seen, Simulation, Step

MIX = Mix(by_url=0.3, copied=0.3, subtitled=0.3, burned=0.1)
"""Assumed, as nobody has told us another: of the jobs with subtitles a third has them burned in."""
LONG = 4.0
"""Times the cost of a clip of 30 s: two minutes, the most by default."""
Crews = Mapping[str, tuple[Worker, Rules]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Jobs a minute: `base`, but `peak` from `since` until `until` (seconds), and those cost `factor` times as much."""

    base: float
    peak: float
    since: float
    until: float
    seconds: float
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Seconds; `drain` is from the end of the peak until as few jobs are there as at most before it, if there was one."""

    jobs: int
    done: int
    median: float
    worst: float
    refusals: int
    handed_back: int
    drain: float | None
    most: Mapping[str, int]
    last: Mapping[str, int]
    turns_an_hour: float
    clippers: Mapping[int, int]
    """At each minute of MINUTES that the run has."""


BURST = Load(base=100, peak=1000, since=1200, until=1800, seconds=3600)
LOADS = {
    "steady": replace(BURST, peak=100),
    "ten times, 10 min": BURST,
    "step to five times": replace(BURST, peak=500, until=2400, seconds=2400),
    "ten times, long jobs, 2 min": replace(BURST, until=1320, factor=LONG),
    "asr stands, 10 min": replace(BURST, peak=100),
}
STANDS = {"asr stands, 10 min": ("asr", 1200.0, 1800.0)}


def requests(load: Load, mix: Mix, costs: Mapping[str, Quantiles], seed: int) -> list[tuple[float, Route]]:
    """By chance alone, as of many clients that know nothing of each other; the rate is that of the moment."""
    chance, now, made = random.Random(seed), 0.0, list[tuple[float, Route]]()
    highest = max(load.base, load.peak) / 60
    while (now := now + chance.expovariate(highest)) < load.seconds:
        at_peak = load.since <= now < load.until
        if chance.random() * highest * 60 < (load.peak if at_peak else load.base):
            made.append((now, _route(mix, costs, chance, load.factor if at_peak else 1.0)))
    return made


def _route(mix: Mix, costs: Mapping[str, Quantiles], chance: random.Random, factor: float) -> Route:
    def drawn_of(work: str) -> float:
        return drawn(costs[work], chance)

    source = Step("resolver", drawn_of("url" if chance.random() < mix.by_url else "upload"))
    is_copied, wanted = chance.random() < mix.copied, chance.random()
    cut = Step("clipper", factor * drawn_of("copy" if is_copied else "exact"), in_turn=not is_copied)
    if wanted >= mix.subtitled:
        return source, cut
    heard = Step("asr", factor * drawn_of("transcribe"), in_turn=True)
    if wanted >= mix.burned:
        return source, cut, heard
    return source, cut, heard, Step("clipper", factor * drawn_of("burn"), in_turn=True)


def outcome(crews: Crews, load: Load, plan: Plan) -> Outcome:
    seen = Simulation(crews, plan).run()
    waits = list(seen.waits.values())
    return Outcome(
        jobs=len(plan.requests),
        done=len(waits),
        median=percentile(waits, 0.5),
        worst=max(waits),
        refusals=seen.refusals,
        handed_back=seen.handed_back,
        drain=drain(load, plan, seen),
        most={name: max(n for _, n in told) for name, told in seen.replicas.items()},
        last={name: told[-1][1] for name, told in seen.replicas.items()},
        turns_an_hour=turns_an_hour(seen),
        clippers={minute: told[60.0 * minute] for told in [dict(seen.replicas["clipper"])] for minute in MINUTES if 60.0 * minute in told},
    )


MINUTES = (10, 18, 20, 21, 22, 24, 28, 30, 32, 34, 36, 38, 40, 45, 50, 55)
SETTLED = 600.0
"""Before that the system grows from nothing."""


def drain(load: Load, plan: Plan, seen: Seen) -> float | None:
    since, until = plan.standstill[1:] if plan.standstill else (load.since, load.until)
    if until >= load.seconds or (load.peak == load.base and not plan.standstill):
        return None
    usual = max(jobs for when, jobs in seen.lags if SETTLED <= when < since)
    return next(when - until for when, jobs in seen.lags if when >= until and jobs <= usual)


def turns_an_hour(seen: Seen) -> float:
    """Of all pools together, once the system has settled."""
    turned = sum(turns([count for when, count in told if when >= SETTLED]) for told in seen.replicas.values())
    return 3600 * turned / (seen.lags[-1][0] - SETTLED)


def turns(replicas: Sequence[int]) -> int:
    """How often growing turns into shrinking or shrinking into growing."""
    steps = [after - before for before, after in pairwise(replicas) if after != before]
    return sum((before > 0) != (after > 0) for before, after in pairwise(steps))


def played(name: str, crews: Crews, costs: Mapping[str, Quantiles], *, watermark: int | None, seed: int = 1) -> Outcome:
    """One of LOADS."""
    load = LOADS[name]
    plan = Plan(requests=requests(load, MIX, costs, seed), seconds=load.seconds, standstill=STANDS.get(name), watermark=watermark)
    return outcome(crews, load, plan)
