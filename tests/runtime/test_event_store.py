"""One conformance suite for the event store, held against the fake and against Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import Envelope, JobExpired, JobReplayed, StageName, StageProgress, encode
from libs.common.domain.failures import Failure
from libs.common.domain.values import Notice
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.event_store import EventStore, PostgresEventStore, open_event_store
from tests.builders import envelope, history, ready, requested, started, transcribed
from tests.fakes import NOW, MemoryEventStore, retimed

NOBODY = UUID(int=0)
NUMBERED_TWO = """
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope) VALUES ($1, $2, 2, 'stage.progress', now(), $3::jsonb)
"""


BREAK_LEASE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)
"""


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, servers: dict[str, str]) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryEventStore()
        return
    async with open_event_store(servers["DATABASE_URL"]) as postgres:
        yield postgres


async def written(store: EventStore, events: list[Envelope]) -> UUID:
    for event in events:
        await store.append(event)
    return events[0].job_id


async def test_what_is_appended_is_read_back_in_order_and_whole(store: EventStore) -> None:
    events = history(requested(metadata={"ä": "☃"}), started(StageName.RESOLVER), ready(), transcribed(warnings=(Notice("A", "b"),)))
    job_id = await written(store, events)
    assert await store.history(job_id) == events


async def test_an_unknown_job_has_no_history(store: EventStore) -> None:
    assert await store.history(uuid4()) == []


async def test_the_first_event_of_an_id_stands_and_is_returned_to_the_second(store: EventStore) -> None:
    [opening, first] = history(requested(), ready(size=1))
    await written(store, [opening, first])
    second = envelope(ready(size=2), opening.job_id)
    assert second.id == first.id
    assert await store.append(second) == first
    assert await store.history(opening.job_id) == [opening, first]


async def test_one_event_appended_by_many_at_once_is_one_row(store: EventStore) -> None:
    [opening] = history(requested())
    await store.append(opening)
    answers = [envelope(ready(size=n), opening.job_id) for n in range(100)]
    stood = await asyncio.gather(*(store.append(answer) for answer in answers))
    assert len({s.event.size for s in stood}) == 1  # type: ignore[union-attr]
    assert len(await store.history(opening.job_id)) == 2


async def test_many_writers_of_one_job_lose_nothing(store: EventStore) -> None:
    [opening] = history(requested())
    await store.append(opening)
    events = [envelope(StageProgress(stage=StageName.CLIPPER, progress=n / 100), opening.job_id) for n in range(20)]
    await asyncio.gather(*(store.append(event) for event in events))
    kept = await store.history(opening.job_id)
    assert kept[0] == opening
    assert sorted(e.id for e in kept[1:]) == sorted(e.id for e in events)


async def test_two_events_that_want_the_same_number_both_stand_in_the_end_one_behind_the_other(servers: dict[str, str]) -> None:
    """Findings B8 row 23: the other writer has the number and has not committed yet."""
    [opening] = history(requested())
    ours, theirs = (envelope(StageProgress(stage=StageName.CLIPPER, progress=0.5), opening.job_id) for _ in range(2))
    connection = await asyncpg.connect(servers["DATABASE_URL"])
    try:
        async with open_event_store(servers["DATABASE_URL"]) as store:
            await store.append(opening)
            async with connection.transaction():
                await connection.execute(NUMBERED_TWO, theirs.id, opening.job_id, encode(theirs).decode())
                appending = asyncio.create_task(store.append(ours))
                async with asyncio.timeout(10):
                    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"):
                        await asyncio.sleep(0.01)
            assert await appending == ours
            assert await store.history(opening.job_id) == [opening, theirs, ours]
    finally:
        await connection.close()


async def test_an_open_job_is_silent_once_its_last_event_is_old(store: EventStore) -> None:
    long_ago = NOW - timedelta(days=1000)
    events = [retimed(e, long_ago) for e in history(requested(), started(StageName.RESOLVER))]
    job_id = await written(store, events)
    before = UUID(int=job_id.int - 1)
    assert job_id in await store.silent(long_ago + timedelta(seconds=1), after=before, limit=1)
    assert job_id not in await store.silent(long_ago, after=NOBODY, limit=1000)
    assert job_id not in await store.silent(NOW, after=job_id, limit=1000)


async def test_a_closed_job_is_not_silent_until_a_replay_opens_it_again(store: EventStore) -> None:
    events = [retimed(e, NOW - timedelta(days=1000)) for e in history(requested())]
    job_id = await written(store, events)
    before = UUID(int=job_id.int - 1)
    await store.close([job_id])
    assert job_id not in await store.silent(NOW, after=before, limit=1)
    replayed = envelope(JobReplayed(stage=StageName.RESOLVER, by="me", source="DLQ:1"), job_id, id=replay_id(job_id, 2), run=2)
    await store.append(replayed, expires_at=NOW)
    assert job_id in await store.silent(NOW + timedelta(seconds=1), after=before, limit=1)


async def test_a_job_is_unbegun_until_its_first_stage_starts_and_again_when_it_is_replayed(store: EventStore) -> None:
    before = await store.unbegun(10**6)
    [opening] = history(requested())
    await store.append(opening)
    assert (await store.unbegun(10**6), await store.unbegun(before)) == (before + 1, before)
    await store.append(envelope(started(StageName.RESOLVER), opening.job_id))
    assert await store.unbegun(10**6) == before
    replayed = envelope(
        JobReplayed(stage=StageName.RESOLVER, by="me", source="DLQ:1"), opening.job_id, id=replay_id(opening.job_id, 2), run=2
    )
    await store.append(replayed, expires_at=NOW)
    assert await store.unbegun(10**6) == before + 1
    await store.close([opening.job_id])
    assert await store.unbegun(10**6) == before


async def test_an_expired_job_leaves_a_tombstone_and_then_nothing(store: EventStore) -> None:
    past = NOW - timedelta(days=2000)
    job_id = await written(store, history(requested(expires_at=past), ready()))
    assert job_id in await store.expired(past + timedelta(seconds=1), 10)
    assert job_id not in await store.expired(past, 10)
    tombstone = await store.append(envelope(JobExpired(), job_id))
    await store.forget(job_id, until=past + timedelta(hours=1))
    assert await store.history(job_id) == [tombstone]
    assert job_id in await store.expired(past + timedelta(hours=2), 10)
    assert job_id not in await store.expired(past + timedelta(minutes=1), 10)
    await store.purge(job_id)
    assert await store.history(job_id) == []
    assert job_id not in await store.expired(NOW, 10_000)


async def test_a_job_s_time_can_be_up_sooner_but_not_later(store: EventStore) -> None:
    past = NOW - timedelta(days=2000)
    job_id = await written(store, history(requested(expires_at=past), ready()))
    await store.hasten(job_id, past + timedelta(hours=1))
    assert job_id in await store.expired(past + timedelta(seconds=1), 10)
    await store.hasten(job_id, past - timedelta(hours=1))
    assert job_id in await store.expired(past, 10)
    await store.purge(job_id)


async def test_an_upload_is_needed_while_a_job_of_it_stands(store: EventStore) -> None:
    key = f"uploads/{uuid4()}/file.mp4"
    assert not await store.is_upload_needed(key)
    job_id = await written(store, history(requested(upload_key=key), ready()))
    assert await store.is_upload_needed(key)
    await store.purge(job_id)
    assert not await store.is_upload_needed(key)


async def test_a_lease_has_one_holder_at_a_time(store: EventStore) -> None:
    async with store.lease("sweep") as first, store.lease("sweep") as second, store.lease("other") as other:
        assert (first, second, other) == (True, False, True)
    async with store.lease("sweep") as again:
        assert again


async def test_a_holder_that_is_cancelled_when_its_connection_is_broken_already_ends_all_the_same(servers: dict[str, str]) -> None:
    entered = asyncio.Event()

    async def hold(store: EventStore) -> None:
        async with store.lease("a lease whose connection breaks"):
            entered.set()
            await asyncio.Event().wait()

    async with open_event_store(servers["DATABASE_URL"]) as store:
        holding = asyncio.create_task(hold(store))
        await entered.wait()
        other = await asyncpg.connect(servers["DATABASE_URL"])
        assert [row[0] for row in await other.fetch(BREAK_LEASE, "a lease whose connection breaks")] == [True]
        await other.close()
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding


async def test_a_holder_that_lost_its_lease_is_told_so(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.event_store.LEASE_SILENCE", 1)
    async with open_event_store(servers["DATABASE_URL"]) as store:
        with pytest.raises(Failure) as lost:
            async with asyncio.timeout(10), store.lease("a lease that is lost") as ours:
                assert ours
                other = await asyncpg.connect(servers["DATABASE_URL"])
                await other.fetch(BREAK_LEASE, "a lease that is lost")
                await other.close()
                await asyncio.Event().wait()
        assert lost.value.outage == "postgres"
        async with store.lease("a lease that is lost") as again:
            assert again


async def test_a_holder_that_says_nothing_loses_its_lease(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that was stopped the database hears nothing any more."""
    monkeypatch.setattr("libs.common.runtime.event_store.LEASE_SILENCE", 1)
    async with open_event_store(servers["DATABASE_URL"]) as stopped, open_event_store(servers["DATABASE_URL"]) as other:
        monkeypatch.setattr("libs.common.runtime.event_store._watched", lambda _: nullcontext())
        with pytest.raises(Failure):
            async with stopped.lease("a lease of who is stopped") as ours, asyncio.timeout(10):
                assert ours
                while True:
                    async with other.lease("a lease of who is stopped") as taken:
                        if taken:
                            break
                    await asyncio.sleep(0.05)


async def test_an_event_of_a_newer_version_is_passed_over(servers: dict[str, str]) -> None:
    events = history(requested(), ready())
    async with open_event_store(servers["DATABASE_URL"]) as store:
        await written(store, events)
        connection = await asyncpg.connect(servers["DATABASE_URL"])
        try:
            await connection.execute(
                "INSERT INTO job_events (event_id, job_id, seq, type, at, envelope) VALUES ($1, $2, 3, 'clip.sung', $3, '{}')",
                uuid4(),
                events[0].job_id,
                NOW,
            )
        finally:
            await connection.close()
        assert await store.history(events[0].job_id) == events


async def test_a_database_that_is_away_is_an_outage_and_its_return_is_noticed_by_itself(local: LocalServers) -> None:
    async with open_event_store(local.variables["DATABASE_URL"]) as store:
        job_id = await written(store, history(requested()))
        await local.postgres.kill()
        try:
            with pytest.raises(Failure) as caught:
                await store.history(job_id)
            assert (caught.value.outage, caught.value.retryable) == ("postgres", True)
            with pytest.raises(Failure):
                await store.ping()
        finally:
            await local.postgres.start()
        assert len(await store.history(job_id)) == 1


async def test_a_store_opens_while_the_database_is_away() -> None:
    async with open_event_store("postgresql://nobody:nothing@127.0.0.1:1/none") as store:
        assert isinstance(store, PostgresEventStore)
        with pytest.raises(Failure):
            await store.ping()
