"""One clean-up of a whole database, measured: by our retention, or by plain DELETEs."""

import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import asyncpg
import msgspec

from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.postgres import Pool
from services.janitor.retention import Retention
from services.janitor.settings import JanitorSettings

LONG = 3600.0
AFTER = timedelta(hours=74)
"""When the last traces go."""
PLAIN = (
    "DELETE FROM job_events USING job_index i WHERE job_events.job_id = i.job_id AND i.expires_at < $1",
    "DELETE FROM job_index WHERE expires_at < $1",
)


@dataclass(slots=True)
class Statements:
    """What a run asked of Postgres, in seconds: each statement, and each stretch that rows were locked for."""

    seconds: list[float] = field(default_factory=list)
    locks: list[float] = field(default_factory=list)
    _begun: float = 0.0

    def heard(self, query: Any) -> None:
        self.seconds.append(query.elapsed)
        if "FOR UPDATE" in query.query:
            self._begun = time.perf_counter() - query.elapsed
        elif query.query.startswith("COMMIT"):
            self.locks.append(time.perf_counter() - self._begun)
        elif query.query.lstrip().startswith("INSERT"):
            self.locks.append(query.elapsed)

    @property
    def drift(self) -> float:
        """The median statement of the last tenth over that of the first."""
        tenth = max(1, len(self.seconds) // 10)
        return median(self.seconds[-tenth:]) / median(self.seconds[:tenth])


@dataclass(frozen=True, slots=True)
class Run:
    jobs: int
    rows: int
    wall: float
    cpu: float
    statements: Statements
    grown: int
    """KiB by which the process's largest size grew."""
    postgres: float = 0.0
    """Seconds that we waited for the database."""
    traces: float = 0.0
    """Seconds to take the jobs' last traces away too, at their second visit."""


async def by_retention(url: str, objects: ObjectStore, settings: JanitorSettings, *, pause_ms: int | None) -> Run:
    """Until all jobs are expired. `pause_ms` None leaves the default."""
    if pause_ms is not None:
        settings = msgspec.structs.replace(settings, cleanup_pause_ms=pause_ms)
    statements = Statements()
    async with _heard(url, statements) as pool:
        rows = await _rows(url)
        began, cpu, size = time.perf_counter(), time.process_time(), _largest()
        report = await Retention(PostgresEventStore(pool), objects, settings).clean_up()
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        run = Run(report.total, rows - await _rows(url), wall, cpu, statements, _largest() - size, sum(statements.seconds))
        began = time.perf_counter()
        await Retention(PostgresEventStore(pool), objects, settings, now=lambda: datetime.now(UTC) + AFTER).clean_up()
        run = replace(run, traces=time.perf_counter() - began)
    if run.rows + run.jobs != rows or await _rows(url):
        raise RuntimeError(f"of {rows} rows {run.rows} went at first, and {await _rows(url)} are left")
    return run


async def by_delete(url: str) -> Run:
    """The rows alone, as two statements: nothing of S3, and no word that a job expired."""
    connection = await asyncpg.connect(url)
    statements = Statements()
    try:
        rows, jobs = await _rows(url), await connection.fetchval("SELECT count(*) FROM job_index")
        began, cpu = time.perf_counter(), time.process_time()
        for statement in PLAIN:
            at = time.perf_counter()
            await connection.execute(statement, datetime.now(UTC) + timedelta(seconds=1), timeout=LONG)
            statements.seconds.append(time.perf_counter() - at)
            statements.locks.append(statements.seconds[-1])
        wall = time.perf_counter() - began
    finally:
        await connection.close()
    return Run(jobs, rows, wall, time.process_time() - cpu, statements, 0)


@asynccontextmanager
async def _heard(url: str, statements: Statements) -> AsyncIterator[Pool]:
    async def listen(connection: Any) -> None:
        connection.add_query_logger(statements.heard)

    async def keep(_: object) -> None:
        return None

    async with asyncpg.create_pool(url, min_size=1, max_size=1, setup=listen, reset=keep) as pool:
        yield pool


async def _rows(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM job_events", timeout=LONG))
    finally:
        await connection.close()


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
