"""The growth benchmark on databases of a thousand events: what it measures answers rightly, on the schema that the migrations make."""

from pathlib import Path

import asyncpg
import pytest

from bench.growth import waiting
from bench.growth.measured import Size, measured
from bench.growth.population import WORKING, Population, filled
from bench.growth.rounds import Rounds
from tests.own_database import own_database

TINY = Size(events=(1_000, 2_000), queued=(1, 30), rounds=Rounds(rounds=1, seconds=0.0))

INDEXES = """
SELECT pg_get_indexdef(indexrelid) AS made, EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) AS is_constraint
FROM pg_index WHERE indrelid::regclass::text = ANY('{job_events,job_list,job_index}') ORDER BY made
"""


@pytest.mark.filterwarnings("ignore:.*active log listener")  # it stays, to hear what the next call's plans are
async def test_every_call_gives_its_right_answer_at_every_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LEAST", 20)
    figures = await measured(tmp_path, TINY)
    assert [figure.what for figure in figures if "WRONG" in figure.detail] == []
    assert {figure.row for figure in figures} == {"14"}


async def test_a_filled_database_has_the_schema_of_the_migrations(servers: dict[str, str]) -> None:
    """Its indexes are dropped and made again: were one missing, every figure would be of another schema."""
    async with own_database(servers["DATABASE_URL"]) as plain, own_database(servers["DATABASE_URL"]) as full:
        sample = await filled(full, Population(1_000, queued=3))
        assert (len(sample.working), len(sample.queued)) == (WORKING, 3)
        assert await indexes(full) == await indexes(plain)


async def indexes(url: str) -> list[tuple[str, bool]]:
    """Each with whether a constraint stands on it."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(INDEXES)
    finally:
        await connection.close()
    return [tuple(row) for row in rows]
