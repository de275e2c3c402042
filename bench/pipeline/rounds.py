"""Ours and the peer under both loads, in turns: how much of it, and what came of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.figures import percentile
from bench.pipeline.durability import problems, sync_seconds
from bench.pipeline.ours import Alone, Many, many, one_by_one
from bench.pipeline.peer import POLLING, WAYS, Peers, Way, running_peers
from bench.pipeline.system import System, open_servers, open_system

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: the whole, or a quick look. Jobs are those of a round."""

    rounds: int = 5
    many: int = 2000
    alone: int = 200
    polled: int = 10
    """One after the other through the peer's polls: each takes more than a second."""
    listened: int = 100


QUICK = Size(rounds=2, many=300, alone=40, polled=4, listened=20)
WARM = Size(rounds=1, many=200, alone=100, polled=1, listened=20)
"""Before the first round; it counts for nothing."""


@dataclass(slots=True)
class Rounds:
    """Of one side."""

    many: list[Many] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return median(one.rate for one in self.many)

    @property
    def hop(self) -> float:
        """Seconds from publish to handler, p50."""
        return median(percentile(one.hops, 0.5) for one in self.alone)

    def whole(self, part: float) -> float:
        """Seconds from publish to the last event."""
        return median(percentile(one.wholes, part) for one in self.alone)

    def cpu(self, runs: Sequence[Many] | Sequence[Alone]) -> dict[str, float]:
        """Seconds a job by process."""
        return {name: median(one.spent.cpu[name] / one.jobs for one in runs) for name in runs[0].spent.cpu}

    @property
    def faults(self) -> list[str]:
        return [*(fault for run in self.many for fault in run.faults), *(fault for run in self.alone for fault in run.faults)]


@dataclass(frozen=True, slots=True)
class Found:
    """By side; with the seconds that a sync takes on the disk."""

    sides: Mapping[str, Rounds]
    sync: float


async def taken(folder: Path, size: Size, *, workers: int, with_peer: bool, profile: Path | None) -> Found:
    ways = WAYS if with_peer else ()
    sides = {name: Rounds() for name in (OURS, *(way.name for way in ways))}
    async with _system(folder, workers, profile) as system, AsyncExitStack() as stack:
        if broken := await problems(system.pool, system.monitor):
            raise RuntimeError("; ".join(broken))
        peers = await stack.enter_async_context(running_peers(system, folder)) if with_peer else None
        for sized, to in [(WARM, {name: Rounds() for name in sides}), *[(size, sides)] * size.rounds]:
            await _turn_of_ours(system, to[OURS], sized)
            for way in ways:
                await _turn_of_peer(peers, way, to[way.name], sized)
    return Found(sides, sync_seconds(folder))


@asynccontextmanager
async def _system(folder: Path, workers: int, profile: Path | None) -> AsyncIterator[System]:
    async with (
        open_servers(folder / "servers") as (servers, monitor),
        open_system(servers, monitor, folder, workers=workers, profile=profile) as system,
    ):
        yield system


async def _turn_of_ours(system: System, to: Rounds, size: Size) -> None:
    to.many.append(await many(system, size.many))
    to.alone.append(await one_by_one(system, size.alone))


async def _turn_of_peer(peers: Peers | None, way: Way, to: Rounds, size: Size) -> None:
    assert peers is not None  # noqa: S101  for the type checker: there are ways only where there are peers
    to.many.append(await peers.many(way, size.many))
    to.alone.append(await peers.one_by_one(way, size.polled if way is POLLING else size.listened))
