"""What a job costs: what has changed is told by its name; the statements behind one call. Whole jobs are counted in test_traces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import asyncpg

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope
from libs.common.domain.job import Job
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import Connection, Pool, Statements
from libs.common.runtime.source_cache import PostgresSourceCache, Section
from services.api.job_opening import JobOpening
from services.api.read_model import ReadModel
from tests.e2e.costs import differences


def test_what_grew_what_is_new_and_what_is_gone_is_told_by_its_name() -> None:
    expected = {"clipper": {"append": 1, "begin": 1}}
    assert differences(expected, expected) == []
    found = {"clipper": {"append": 2, "history": 1}}
    assert differences(found, expected) == [
        "clipper: append: 2, it was 1",
        "clipper: begin: 0, it was 1",
        "clipper: history: 1, it was 0",
    ]


class Heard(list[str]):
    """What one connection was asked."""

    def hear(self, query: Any) -> None:
        self.append(query.query)


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[tuple[Pool, Heard]]:
    heard = Heard()

    async def listen(connection: Any) -> None:
        connection.add_query_logger(heard.hear)

    async def keep(_: object) -> None:
        """As our pools: a reset would be a round trip."""

    async with asyncpg.create_pool(url, min_size=1, max_size=1, init=listen, reset=keep) as pool:
        yield pool, heard


async def test_a_job_is_opened_in_six_round_trips_behind_one_look(servers: dict[str, str]) -> None:
    """A transaction counts as one call above: these are its statements."""
    async with hearing(servers["DATABASE_URL"]) as (pool, heard):
        store = PostgresEventStore(pool)
        model = ReadModel(pool, store, nobody)
        opening = JobOpening(model, store)
        await opening.open([request()], 100)
        heard.clear()  # a connection asks about types at its first use of them
        await opening.open([request()], 100)
        assert named(heard, model.sql, "active", "lock", "open") == [
            "active",
            "BEGIN;",
            "SET LOCAL lock_timeout = '2s'",
            "lock",
            "active",
            "open",
            "COMMIT;",
        ]


async def test_what_nobody_has_fetched_is_claimed_in_six_round_trips(servers: dict[str, str]) -> None:
    async with hearing(servers["DATABASE_URL"]) as (pool, heard):
        await PostgresSourceCache(pool, "counted").claim(uuid4(), token_bytes(32), Section(1, 2), 10)
        statements = Statements(pool, "source_cache.sql")
        assert named(heard, statements, "lock", "clear", "covering", "begin") == ["BEGIN;", "lock", "clear", "covering", "begin", "COMMIT;"]


def named(heard: list[str], statements: Statements, *names: str) -> list[str]:
    known = {statements[name]: name for name in names}
    return [known.get(text, text) for text in heard]


async def nobody(_: Connection, __: Job) -> None:
    """Who is told of a job's end."""


def request() -> Envelope:
    job_id, now = uuid4(), datetime.now(UTC)
    event = ClipsRequested(
        source_type="upload", upload_key=f"uploads/{job_id}/film.mp4", start=1, end=2, client="counted", expires_at=now + timedelta(hours=1)
    )
    return Envelope(id=request_id(job_id), job_id=job_id, at=now, correlation_id="c", event=event)
