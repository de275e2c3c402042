"""What is struck without the five services: the lines to the servers, a cluster's leaders, and the stages' steps in simulated time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from tests.chaos import lossy
from tests.chaos.cluster import leaders_killed
from tests.chaos.kills import AGAIN
from tests.chaos.table import TableRow
from tests.chaos.verdict import Outcome
from tests.runtime.simulation.running import simulate


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of each."""

    jobs: int
    cuts: int
    resets: int
    frozen: int
    leaders: int
    stories: int


FULL = Amounts(jobs=50, cuts=200, resets=20, frozen=8, leaders=12, stories=400)
QUICK = Amounts(jobs=12, cuts=20, resets=3, frozen=4, leaders=2, stories=30)


def strikes(seed: int, much: Amounts) -> dict[str, Callable[[], Awaitable[TableRow]]]:
    """By name. Those of the lines are rows 7 to 11 of findings B8, the cluster is row 12."""
    return {
        "every message twice": lambda: line(lossy.twice(much.jobs, seed, after=0.5)),
        "acks dropped": lambda: line(lossy.acks_dropped(much.jobs, seed)),
        "PubAcks dropped": lambda: line(lossy.pubacks_dropped(much.jobs, seed)),
        "cut during COMMIT": lambda: line(lossy.commits_cut(much.cuts, seed)),
        "connections reset": lambda: line(lossy.links_cut(much.resets, seed)),
        "a link half open": lambda: line(lossy.half_open(much.frozen, seed)),
        "SIGSTOP beyond ack_wait": lambda: line(lossy.zombies(much.frozen, seed)),
        "kill -9 of a cluster's leader": lambda: cluster(seed, much),
        "simulated stories": lambda: simulated(seed, much),
    }


async def line(strike: Awaitable[Outcome]) -> TableRow:
    outcome = await strike
    counts = (outcome.lost, outcome.duplicates, outcome.stuck, 0)
    return TableRow(outcome.fault, outcome.injected, outcome.jobs, counts, outcome.charged)


async def cluster(seed: int, much: Amounts) -> TableRow:
    figures = await leaders_killed(much.leaders, seed)
    broken = [f"{figures.dead_letters} dead letters"] if figures.dead_letters else []
    counts = (figures.lost, figures.doubled, 0, 0)
    told = [f"of these the servers' elections at most {max(figures.elections, default=0.0):.1f} s"]
    name = "kill -9 of a cluster's leader, restarts"
    return TableRow(name, len(figures.recoveries), figures.jobs, counts, 0, figures.recoveries, AGAIN, broken, told)


async def simulated(seed: int, much: Amounts) -> TableRow:
    """A story is up to 60 steps of crash, duplicate, reorder, zombie, replay, cancel. Raises AssertionError that names what broke."""
    began = monotonic()
    counts = await asyncio.to_thread(simulate, much.stories, seed)
    told = f"{counts['stories']} stories in {monotonic() - began:.0f} s"
    return TableRow("simulated stories", counts["stories"], counts["jobs"], (0, 0, 0, 0), notes=[told])
