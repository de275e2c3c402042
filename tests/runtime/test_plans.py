"""A stage's statements are planned once; the plan that they keep is by an index, also where it was made in an empty table."""

import re

import pytest

from libs.common.runtime.postgres import Statements, open_pool


@pytest.mark.parametrize(("name", "values"), [("append", 5), ("begin", 5), ("standing", 1), ("history", 1)])
async def test_a_plan_that_is_kept_never_looks_at_all_events(servers: dict[str, str], name: str, values: int) -> None:
    async with open_pool(servers["DATABASE_URL"], connections=1, keeps_plans=True) as pool, pool.acquire() as connection:
        await connection.execute(f"PREPARE kept AS {Statements(pool, 'event_store.sql')[name]}")
        told = await connection.fetch(f"EXPLAIN EXECUTE kept ({', '.join(['NULL'] * values)})")
        assert await connection.fetchval("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'kept'") == 1
    plan = "\n".join(row["QUERY PLAN"] for row in told)
    assert re.search(r"Index [\w ]*(using|on) job_events_", plan)
    assert "Seq Scan" not in plan
