"""The feed of all events, on real Postgres: nothing missed, nothing twice, each job's events in order, whatever happens to connections."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from libs.common.domain.events import StageName, StageProgress
from libs.common.domain.failures import Failure
from libs.common.runtime.event_feed import MOST_POSITION, MOST_XID, Batch, Cursor, Entry, EventFeed, open_event_feed
from libs.common.runtime.event_store import PostgresEventStore, open_event_store
from tests.builders import envelope, history, ready, requested
from tests.fakes import retimed
from tests.thorough import IS_THOROUGH

WRITERS = 16
EVENTS = 10_000 if IS_THOROUGH else 3_000
"""Of all writers; findings B8 row 21 was run with 50,000."""

COPIED = """
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT $1, $2, 1, type, now(), envelope FROM job_events WHERE job_id = $3
"""
KILLED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE query LIKE '%pg_snapshot_xmin%' AND pid <> pg_backend_pid() AND datname = current_database()
"""


@pytest.fixture
async def store(servers: dict[str, str]) -> AsyncIterator[PostgresEventStore]:
    async with open_event_store(servers["DATABASE_URL"], connections=WRITERS) as store:
        yield store


@pytest.fixture
async def feed(servers: dict[str, str]) -> AsyncIterator[EventFeed]:
    async with open_event_feed(servers["DATABASE_URL"]) as feed:
        yield feed


@asynccontextmanager
async def session(servers: dict[str, str]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    try:
        yield connection
    finally:
        connection.terminate()


async def read(feed: EventFeed, after: Cursor, count: int, *, seconds: float = 60, **how: object) -> list[Entry]:
    """The next `count` entries, as a reader that follows gets them."""
    entries: list[Entry] = []
    async with asyncio.timeout(seconds), aclosing(feed.follow(after, **how)) as batches:
        async for batch in batches:
            entries += batch.entries
            if len(entries) >= count:
                break
    return entries


def progress(job_id: UUID, value: float = 0.5):
    return envelope(StageProgress(stage=StageName.CLIPPER, progress=value), job_id)


def lag() -> float:
    return REGISTRY.get_sample_value("clip_feed_lag_seconds") or 0.0


async def until_it_lags(feed: EventFeed, after: Cursor, seconds: float) -> Batch:
    """The page that is read when the feed has been held back for so long."""
    async with asyncio.timeout(40):
        while True:
            batch = await feed.page(after)
            if lag() >= seconds:
                return batch
            await asyncio.sleep(0.02)


# Cursors


@given(st.integers(0, MOST_XID), st.integers(0, MOST_POSITION))
def test_a_cursor_survives_its_text(txid: int, position: int) -> None:
    assert Cursor.parse(str(Cursor(txid, position))) == Cursor(txid, position)


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except ValueError:
        return
    assert 0 <= cursor.txid <= MOST_XID
    assert 0 <= cursor.position <= MOST_POSITION


BEYOND = (f"{MOST_XID + 1}.0", f"0.{MOST_POSITION + 1}", "9" * 10_000)


@pytest.mark.parametrize("text", ["", ".", "1", "1.", ".1", "-1.1", "1.1.1", "1e3.1", "٣.1", *BEYOND])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="two numbers"):
        Cursor.parse(text)


# Reading


async def test_what_was_written_is_read_in_order_and_whole(store: PostgresEventStore, feed: EventFeed) -> None:
    start = await feed.end()
    events = [(await store.append(event)).envelope for event in history(requested(metadata={"ä": "☃"}), ready())]
    entries = await read(feed, start, 2)
    assert [entry.envelope for entry in entries] == events
    assert [entry.seq for entry in entries] == [1, 2]
    assert start < entries[0].cursor < entries[1].cursor


async def test_a_reader_goes_on_behind_any_entry(store: PostgresEventStore, feed: EventFeed) -> None:
    start = await feed.end()
    job_id = (await store.append(history(requested())[0])).envelope.job_id
    for n in range(20):
        await store.append(progress(job_id, n / 20))
    entries = await read(feed, start, 21)
    for n, entry in enumerate(entries[:-1]):
        rest = await read(feed, Cursor.parse(str(entry.cursor)), 20 - n)
        assert rest == entries[n + 1 :]


async def test_small_pages_come_to_the_same_as_one_large_one(store: PostgresEventStore, feed: EventFeed) -> None:
    start = await feed.end()
    for event in [event for _ in range(5) for event in history(requested(), ready())]:
        await store.append(event)
    assert await read(feed, start, 10, limit=3) == await read(feed, start, 10)


async def test_only_the_types_that_are_wanted_are_read_and_the_others_are_not_looked_at_again(
    store: PostgresEventStore, feed: EventFeed
) -> None:
    start = await feed.end()
    events = history(requested(), ready())
    for event in [*events, progress(events[0].job_id)]:
        await store.append(event)
    await read(feed, start, 3)
    batch = await feed.page(start, types={"source.ready"})
    assert [entry.envelope for entry in batch.entries] == [events[1]]
    assert batch.is_last
    assert batch.cursor > batch.entries[-1].cursor
    assert not (await feed.page(batch.cursor)).entries


async def test_events_of_a_newer_version_are_passed_over(servers: dict[str, str], store: PostgresEventStore, feed: EventFeed) -> None:
    start = await feed.end()
    [opening] = history(requested())
    await store.append(opening)
    async with session(servers) as connection:
        await connection.execute(
            "INSERT INTO job_events (event_id, job_id, seq, type, at, envelope) VALUES ($1, $2, 2, 'clip.sung', now(), '{}')",
            uuid4(),
            opening.job_id,
        )
    await store.append(progress(opening.job_id))
    assert [entry.seq for entry in await read(feed, start, 2)] == [1, 3]


async def test_sixteen_writers_and_a_reader_nothing_missed_nothing_twice_each_job_in_order(
    store: PostgresEventStore, feed: EventFeed
) -> None:
    """Findings B8 row 21: several writers of each job, so that sequence numbers are fought for, and a reader beside them."""
    start, jobs = await feed.end(), [history(requested())[0] for _ in range(200)]
    written: list[tuple[UUID, UUID]] = [((await store.append(job)).envelope.job_id, job.id) for job in jobs]
    chance = random.Random(21)

    async def write(count: int) -> None:
        for _ in range(count):
            event = progress(chance.choice(jobs).job_id)
            await store.append(event)
            written.append((event.job_id, event.id))

    reading = asyncio.create_task(read(feed, start, EVENTS))
    await asyncio.gather(*(write((EVENTS - len(jobs)) // WRITERS + 1) for _ in range(WRITERS)))
    entries = await reading
    entries += await read(feed, entries[-1].cursor, len(written) - len(entries)) if len(entries) < len(written) else []
    assert sorted((entry.envelope.job_id, entry.envelope.id) for entry in entries) == sorted(written)
    for job in jobs:
        numbers = [entry.seq for entry in entries if entry.envelope.job_id == job.job_id]
        assert numbers == list(range(1, len(numbers) + 1))


# What goes wrong


async def test_an_event_that_commits_late_comes_late_and_holds_back_what_is_younger(
    servers: dict[str, str], store: PostgresEventStore, feed: EventFeed
) -> None:
    start, [job] = await feed.end(), history(requested())
    await store.append(job)
    async with session(servers) as connection:
        late = connection.transaction()
        await late.start()
        await connection.execute(COPIED, uuid4(), uuid4(), job.job_id)
        younger, _ = await store.append(progress(job.job_id))
        batch = await feed.page(start)
        assert (await read(feed, start, 1))[0].envelope == job
        assert younger.id not in {entry.envelope.id for entry in batch.entries}
        await late.commit()
    entries = await read(feed, batch.cursor, 2)
    assert [entry.envelope.id for entry in entries][-1] == younger.id
    assert len(entries) == 2


async def test_an_idle_transaction_is_ended_and_until_then_the_lag_says_so(
    servers: dict[str, str], store: PostgresEventStore, feed: EventFeed
) -> None:
    """Findings B8 row 24, with 2 s in the place of 30."""
    start, [job] = await feed.end(), history(requested())
    async with session(servers) as connection:
        await connection.execute("SET idle_in_transaction_session_timeout = '2s'")
        await connection.execute("BEGIN")
        await connection.execute("SELECT pg_current_xact_id()")
        await store.append(retimed(job, datetime.now(UTC)))
        assert not (await until_it_lags(feed, start, 1.0)).entries
        assert [entry.envelope.id for entry in await read(feed, start, 1, seconds=5)] == [job.id]
        await feed.page(start)
        assert lag() < 1
        assert connection.is_closed()


async def test_the_database_itself_ends_idle_transactions(servers: dict[str, str]) -> None:
    async with session(servers) as connection:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "30s"


async def test_a_reader_whose_connection_is_cut_again_and_again_is_at_most_two_seconds_late(
    servers: dict[str, str], store: PostgresEventStore, feed: EventFeed
) -> None:
    """Findings B8 row 25."""
    start, [job] = await feed.end(), history(requested())
    await store.append(job)
    loop, written, late = asyncio.get_running_loop(), {job.id: asyncio.get_running_loop().time()}, {}

    async def follow() -> None:
        async with aclosing(feed.follow(start)) as batches:
            async for batch in batches:
                assert not {entry.envelope.id for entry in batch.entries} & set(late)
                late.update({entry.envelope.id: loop.time() - written[entry.envelope.id] for entry in batch.entries})
                if len(late) == 60:
                    return

    reading = asyncio.create_task(follow())
    async with session(servers) as killer, asyncio.timeout(90):
        while len(written) < 60:
            event = progress(job.job_id)
            written[event.id] = loop.time()
            await store.append(event)
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_snapshot_xmin%' AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(0.05)
        await reading
    assert set(late) == set(written)
    assert max(late.values()) <= 2


async def test_a_database_that_is_away_is_said_to_who_asks_and_waited_out_by_who_follows() -> None:
    async with open_event_feed("postgresql://nobody:nothing@127.0.0.1:1/none") as feed:
        with pytest.raises(Failure) as caught:
            await feed.page(Cursor())
        assert caught.value.outage == "postgres"
        with pytest.raises(TimeoutError):
            await read(feed, Cursor(), 1, seconds=0.6)
