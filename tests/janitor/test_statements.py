"""No statement of the sweeps reads all events of all jobs: each page costs as much in a large table as in a small one. On real Postgres."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.common.runtime.postgres import Statements
from tests.janitor.conftest import World

JOBS = 2000
FILL = """
WITH jobs AS (INSERT INTO job_index SELECT gen_random_uuid(), now() + interval '1 h', false FROM generate_series(1, $1) RETURNING job_id)
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT gen_random_uuid(), job_id, n, CASE n WHEN 1 THEN 'clips.requested' ELSE 'stage.progress' END, now(),
    jsonb_build_object('field', repeat('x', 400))
FROM jobs, generate_series(1, 10) AS n
"""
NOW = datetime.now(UTC)
STATEMENTS: list[tuple[str, str, str, list[Any]]] = [
    ("services.janitor", "storage.sql", "living", [[uuid4() for _ in range(1000)]]),
    ("services.janitor", "storage.sql", "closed", [UUID(int=0), NOW, 100]),
    ("services.janitor", "storage.sql", "kept", [UUID(int=0), NOW]),
    ("services.janitor", "storage.sql", "asked", [UUID(int=0), NOW, 100]),
    ("services.janitor", "upload_sweep.sql", "expired", [NOW, NOW, uuid4(), 100]),
    ("libs.common.runtime", "event_store.sql", "expired", [NOW, 100]),
    ("libs.common.runtime", "event_store.sql", "put_off", [[uuid4()] * 100, [NOW] * 100, True]),
]


@pytest.fixture
async def _full(own: World) -> None:
    await own.c.pool.execute("TRUNCATE uploads")
    await own.c.pool.execute(FILL, JOBS)
    await own.c.pool.execute("ANALYZE job_events")
    await own.c.pool.execute("ANALYZE job_index")


@pytest.mark.usefixtures("_full")
async def test_events_are_only_read_through_an_index(own: World) -> None:
    for package, file, name, values in STATEMENTS:
        statement = Statements(own.c.pool, file, package)[name]
        [plan] = json.loads(await own.c.pool.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values))
        read = [node for node in nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"]
        assert "job_events" not in {node["Relation Name"] for node in read}, (name, plan)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]
