"""Histories of real jobs many times over: how many bytes a row of theirs takes, and how fast the API that writes the lists follows."""

import asyncio
import time
from dataclasses import dataclass

from libs.common.runtime.postgres import Pool

COPIES = 2000
LOOK = 0.02
PATIENCE = 300.0
TABLES = ("job_events", "job_index", "job_list")

MADE = """CREATE TABLE bench_copies AS SELECT job_id, gen_random_uuid() AS copy
FROM (SELECT job_id FROM job_index ORDER BY job_id LIMIT $1) jobs, generate_series(1, $2::int)"""
INDEXED = "INSERT INTO job_index (job_id, expires_at, open) SELECT copy, now() + interval '72 hours', false FROM bench_copies"
WAVE = """INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT event.id, copy, seq, type, at, jsonb_set(replace(envelope::text, job_id::text, copy::text)::jsonb, '{id}', to_jsonb(event.id))
FROM job_events JOIN bench_copies USING (job_id), LATERAL (SELECT gen_random_uuid() AS id WHERE job_events.seq > 0) event WHERE seq = $1"""
BEHIND = """SELECT EXISTS (
    SELECT FROM job_events e, read_model_place p
    WHERE (e.txid, e.position) > (p.txid, p.position) AND e.type <> ALL ('{stage.progress,stage.retried}')
)"""


@dataclass(frozen=True, slots=True)
class Pace:
    """`events` of a job; the lists follow so many whole jobs a second, each event of each by itself."""

    jobs: int
    events: float
    bytes_an_event: float
    jobs_a_second: float


async def pace(database: Pool, jobs: int) -> Pace:
    """The first event of each job, then the second of each: as they come where many jobs are under way."""
    size = await _size(database)
    await database.execute(MADE.replace("$1", str(jobs)).replace("$2", str(max(1, COPIES // jobs))))
    await database.execute(INDEXED)
    copies = await database.fetchval("SELECT count(*) FROM bench_copies")
    events, seconds = 0, 0.0
    for seq in range(1, await database.fetchval("SELECT max(seq) FROM job_events JOIN bench_copies USING (job_id)") + 1):
        events += int((await database.execute(WAVE, seq)).split()[-1])
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            while await database.fetchval(BEHIND):
                await asyncio.sleep(LOOK)
        seconds += time.perf_counter() - began
    grown = await _size(database) - size
    await database.execute("DROP TABLE bench_copies")
    return Pace(copies, events / copies, grown / events, copies / seconds)


async def _size(database: Pool) -> int:
    """Bytes, with indexes."""
    return sum([await database.fetchval("SELECT pg_total_relation_size($1::regclass)", table) for table in TABLES])
