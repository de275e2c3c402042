"""Databases that differ in nothing but how much is in them: finished jobs of the last three days, some at work, some that wait."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from libs.common.domain.events import (
    AnyEvent,
    ClipsRequested,
    Envelope,
    JobFailed,
    SourceReady,
    StageName,
    StageProgress,
    StageStarted,
    encode,
    type_of,
)
from tests.builders import uploaded

NOBODY = UUID("0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11")
"""Stands for the job in the templates; each has its own in the table."""
FAILED, WORKING, DUE = 20, 50, 20
"""Jobs that failed, that are at work, and whose time is up: the same of them everywhere, so that what finds them has as much to tell."""
TABLES = ("job_events", "job_list", "job_index")
LONG = 900.0

FILL = """
WITH jobs AS MATERIALIZED (
    SELECT gen_random_uuid() AS job_id, n, now() - interval '72 hours' * (n::float8 / $1::int) AS at
    FROM generate_series($2::int, $1, $3) AS n
), indexed AS (
    INSERT INTO job_index (job_id, expires_at, open) SELECT job_id, at + interval '73 hours', $4::text IN ('queued', 'processing') FROM jobs
), listed AS (
    INSERT INTO job_list
        (job_id, tenant, client, group_id, source_type, lane, status, created_at, begun_at, ended_at, seq, stage, error_code)
    SELECT job_id, '', 'bench', CASE WHEN $4 = 'done' AND n % 100 < 10 THEN md5('group ' || n / 100)::uuid END, 'upload', 1, $4,
        at, at, CASE WHEN $4 IN ('done', 'failed') THEN at + interval '3 seconds' END, cardinality($6::text[]), 'clipper',
        CASE WHEN $4 = 'failed' THEN 'SOURCE_UNREADABLE' END
    FROM jobs
)
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT gen_random_uuid(), job_id, t.seq, t.type, at, replace(t.envelope, $5, job_id::text)::jsonb
FROM jobs CROSS JOIN unnest($6, $7::text[]) WITH ORDINALITY AS t (type, envelope, seq)
"""
FIRST_GROUP = "SELECT md5('group 0')::uuid"
EXPIRE = """
UPDATE job_index SET expires_at = now() - interval '1 second'
WHERE job_id IN (SELECT job_id FROM job_list WHERE status = 'done' ORDER BY created_at LIMIT $1)
"""
UPLOADS = """
INSERT INTO uploads (id, tenant, key, size, part_size, content_type, multipart_id, created_at, expires_at)
SELECT gen_random_uuid(), '', 'uploads/' || gen_random_uuid() || '/film.mp4', 1, 1, 'video/mp4', 'over', now(), now() - interval '2 hours'
FROM generate_series(1, $1)
"""
PLACE = "INSERT INTO read_model_place (txid, position) SELECT pg_snapshot_xmin(pg_current_snapshot()), 0"
CONSTRAINTS = """
SELECT format('ALTER TABLE %I DROP CONSTRAINT %I', $1::text, conname) AS gone,
       format('ALTER TABLE %I ADD CONSTRAINT %I %s', $1::text, conname, pg_get_constraintdef(oid)) AS again
FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u')
"""
INDEXES = """
SELECT format('DROP INDEX %s', indexrelid::regclass) AS gone, pg_get_indexdef(indexrelid) AS again
FROM pg_index WHERE indrelid = $1::text::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
SPREAD = "SELECT job_id FROM job_list WHERE status = $1 ORDER BY md5(job_id::text) LIMIT 2000"
RECENT = "SELECT job_id FROM job_list WHERE status = $1 ORDER BY created_at DESC LIMIT 2000"


@dataclass(frozen=True, slots=True)
class Population:
    """How many events a database has, but for those of the jobs that wait in it, and how many these are."""

    events: int
    queued: int = 1

    @property
    def name(self) -> str:
        return f"growth_{self.events}_{self.queued}"


@dataclass(frozen=True, slots=True)
class Sample:
    """Jobs of a database: 2,000 that are done, spread over it, and 2,000 that ended last; those at work and that wait; bytes of it all."""

    done: Sequence[UUID]
    recent: Sequence[UUID]
    working: Sequence[UUID]
    queued: Sequence[UUID]
    group: UUID
    """Ten jobs of one request."""
    size: int


async def filled(url: str, population: Population) -> Sample:
    """For an empty database with our tables."""
    kinds = _kinds()
    others = {"failed": FAILED, "processing": WORKING, "queued": population.queued}
    done = max(0, population.events - FAILED * len(kinds["failed"]) - WORKING * len(kinds["processing"])) // len(kinds["done"])
    async with _connected(url) as connection, _connected(url) as another, _unindexed(connection):
        halves = ((connection, 1), (another, 2))
        await asyncio.gather(*(_fill(half, "done", done, kinds["done"], first=first, step=2) for half, first in halves))
        for status, count in others.items():
            await _fill(connection, status, count, kinds[status])
    async with _connected(url) as connection:
        await connection.execute(EXPIRE, DUE, timeout=LONG)
        await connection.execute(UPLOADS, DUE)
        await connection.execute(PLACE)
        await connection.execute("VACUUM (ANALYZE, PARALLEL 2)", timeout=LONG)
        return await _sample(connection)


async def _sample(connection: "asyncpg.Connection[asyncpg.Record]") -> Sample:
    done, working, queued = [await _jobs(connection, SPREAD, status) for status in ("done", "processing", "queued")]
    recent = await _jobs(connection, RECENT, "done")
    size = int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    group = await connection.fetchval(FIRST_GROUP)
    return Sample(done, recent, working, queued, group, size)


async def _jobs(connection: "asyncpg.Connection[asyncpg.Record]", which: str, status: str) -> list[UUID]:
    return [row["job_id"] for row in await connection.fetch(which, status, timeout=LONG)]


async def _fill(
    connection: "asyncpg.Connection[asyncpg.Record]", status: str, count: int, history: Sequence[AnyEvent], *, first: int = 1, step: int = 1
) -> None:
    """Jobs of one kind, evenly over the last three days; from the `first` on each `step`th of them."""
    types, envelopes = [type_of(event) for event in history], [encode(_enveloped(event)).decode() for event in history]
    await connection.execute(FILL, count, first, step, status, str(NOBODY), types, envelopes, timeout=LONG)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '512MB'")
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _unindexed(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """The tables without their indexes, which are made again behind it, as the migrations made them: in a tenth of the time."""
    found = [row for table in TABLES for what in (CONSTRAINTS, INDEXES) for row in await connection.fetch(what, table)]
    for row in found:
        await connection.execute(row["gone"])
    yield
    for row in found:
        await connection.execute(row["again"], timeout=LONG)


def _enveloped(event: AnyEvent) -> Envelope:
    return Envelope(id=NOBODY, job_id=NOBODY, at=datetime.now(UTC), correlation_id="c", event=event)


def _kinds() -> dict[str, list[AnyEvent]]:
    """The history of a job by its status. Twelve events for one that is over, most of them progress, which is small."""
    until = datetime.now(UTC) + timedelta(hours=72)
    asked = ClipsRequested(source_type="upload", upload_key=f"uploads/{NOBODY}/film.mp4", start=10.0, end=40.0, expires_at=until)
    begun: list[AnyEvent] = [asked, StageStarted(stage=StageName.RESOLVER, attempt=1, worker="host:1", sequence=1)]
    source = SourceReady(source_key=f"uploads/{NOBODY}/film.mp4", size=10**9, container="mov", duration=3600.0)
    cutting = StageStarted(stage=StageName.CLIPPER, attempt=1, worker="host:2", sequence=2)
    progress = [StageProgress(stage=StageName.CLIPPER, progress=part / 10) for part in range(1, 8)]
    clip = uploaded(video_key=f"results/{NOBODY}/clip.mp4", size=10**7, duration=30.0, actual_start=10.0, actual_end=40.0)
    broken = JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="the file can't be read")
    over: list[AnyEvent] = [*begun, source, cutting, *progress]
    return {"done": [*over, clip], "failed": [*over, broken], "processing": begun, "queued": [asked]}
