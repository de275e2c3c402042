"""Row 14 as figures: the same calls on databases of growing size, the same with growing queues, and the stages under growing queues."""

import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from bench.figures import Figure
from bench.growth.calls import Call, calls
from bench.growth.population import Population, filled
from bench.growth.rounds import ROW, Rounds, Systems, compared
from bench.growth.system import System, opened
from bench.growth.waiting import drained
from libs.common.runtime.embedded import embedded_servers
from tools.migrations import migrate

MIGRATIONS = Path(__file__).resolve().parents[2] / "libs" / "common" / "migrations"
QUEUE_EVENTS = 2_000
MEET_THE_QUEUE = frozenset(
    {
        "GET status, done",
        "GET status, queued",
        "GET list: the first page",
        "back-pressure: jobs not begun",
        "overview: jobs that are open",
        "open jobs: how many, how old",
        "reconciler: silent jobs",
        "a stage appends an event",
        "POST create",
    }
)
"""Calls that know of jobs that wait, and those that clients make most."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: events in the tables, jobs that wait, rounds."""

    events: Sequence[int] = (1_000, 100_000, 10_000_000)
    queued: Sequence[int] = (1, 100, 10_000)
    rounds: Rounds = field(default_factory=Rounds)


QUICK = Size(events=(1_000, 10_000, 100_000), queued=(1, 100, 1_000), rounds=Rounds(rounds=2, seconds=0.05))


async def measured(folder: Path, size: Size) -> list[Figure]:
    """`folder` is empty, and on a disk with 9 GB of room."""
    (folder / "stages").mkdir()
    async with embedded_servers(folder / "servers", {}) as servers:
        by_size = [Population(events) for events in size.events]
        async with _systems(servers.variables, by_size) as (systems, size_of):
            figures = [size_of, *await _all(calls(), systems, size, "events in the table")]
        by_queue = [Population(QUEUE_EVENTS, queued) for queued in size.queued]
        async with _systems(servers.variables, by_queue) as (systems, _):
            some = [call for call in calls() if call.name in MEET_THE_QUEUE]
            figures += await _all(some, systems, size, "jobs that wait")
    return [*figures, await drained(folder / "stages", size.queued, size.rounds.rounds)]


async def _all(some: Sequence[Call], systems: Systems, size: Size, what: str) -> list[Figure]:
    return [await compared(call, systems, size.rounds, what) for call in some]


@asynccontextmanager
async def _systems(variables: Mapping[str, str], populations: Sequence[Population]) -> AsyncIterator[tuple[Systems, Figure]]:
    """By population, smallest first; with the largest one's size as a figure that nobody judges."""
    async with AsyncExitStack() as stack:
        systems = dict[Population, System]()
        for population in populations:
            began = time.perf_counter()
            url = await stack.enter_async_context(_database(variables["DATABASE_URL"], population.name))
            await migrate(MIGRATIONS, {**os.environ, "DATABASE_URL": url})
            sample = await filled(url, population)
            systems[population] = await stack.enter_async_context(opened({**variables, "DATABASE_URL": url}, sample))
            told = f"{sample.size / 1e9:.2f} GB, filled in {time.perf_counter() - began:.0f} s"
            print(f"{population.events:,} events, {population.queued:,} jobs that wait: {told}", flush=True)
        yield systems, Figure(row=ROW, what=f"a database of {population.events:,} events", ours=told)


@asynccontextmanager
async def _database(url: str, name: str) -> AsyncIterator[str]:
    """Its URL, while inside."""
    await _done(url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        await _done(url, f"DROP DATABASE {name} WITH (FORCE)")


async def _done(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, timeout=60)
    finally:
        await connection.close()
