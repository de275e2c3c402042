"""One conformance suite for the event store, held against the fake and against Postgres."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from libs.common.domain.due import Due
from libs.common.domain.event_ids import expiry_id, replay_id
from libs.common.domain.events import Envelope, JobExpired, JobReplayed, StageName, StageProgress, encode
from libs.common.domain.failures import Failure
from libs.common.domain.job import fold
from libs.common.domain.values import Notice
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.event_store import EventStore, PostgresEventStore, open_event_store
from tests.builders import envelope, history, ready, requested, started, transcribed, uploaded
from tests.fakes import NOW, retimed

NOBODY = UUID(int=0)
NUMBERED_TWO = """
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope) VALUES ($1, $2, 2, 'stage.progress', now(), $3::jsonb)
"""


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
    assert await store.append(second) == (first, 2)
    assert await store.history(opening.job_id) == [opening, first]


async def test_one_event_appended_by_many_at_once_is_one_row(store: EventStore) -> None:
    [opening] = history(requested())
    await store.append(opening)
    answers = [envelope(ready(size=n), opening.job_id) for n in range(100)]
    stood = await asyncio.gather(*(store.append(answer) for answer in answers))
    assert len({s.envelope.event.size for s in stood}) == 1  # type: ignore[union-attr]
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
                async with asyncio.timeout(40):
                    while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"):
                        await asyncio.sleep(0.01)
            assert await appending == (ours, 3)
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
    await store.close(events)
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
    await store.close([opening])  # seen before it was replayed
    assert await store.unbegun(10**6) == before + 1
    await store.close([replayed])
    assert await store.unbegun(10**6) == before


async def test_an_expired_job_leaves_a_tombstone_and_then_nothing(store: EventStore) -> None:
    past = NOW - timedelta(days=2000)
    job_id = await written(store, history(requested(expires_at=past), ready()))
    assert job_id in await due(store, past + timedelta(seconds=1))
    assert job_id not in await due(store, past)
    await store.forget([job_id], until=past + timedelta(hours=1))
    assert len(await store.history(job_id)) == 2, "it is not expired yet"
    tombstone, _ = await store.append(envelope(JobExpired(), job_id))
    await store.forget([job_id], until=past + timedelta(hours=1))
    assert await store.history(job_id) == [tombstone]
    assert job_id in await due(store, past + timedelta(hours=2))
    assert job_id not in await due(store, past + timedelta(minutes=1))
    found = (await due(store, past + timedelta(hours=2)))[job_id]
    await store.purge({job_id: found.seq - 1})
    assert await store.history(job_id) == [tombstone], "it was heard of since"
    await store.purge({job_id: found.seq})
    assert await store.history(job_id) == []
    assert job_id not in await due(store, NOW)


async def test_a_job_that_is_due_comes_whole_and_with_the_number_of_its_last_event(store: EventStore) -> None:
    past = NOW - timedelta(days=3000)
    told = [StageProgress(stage=StageName.CLIPPER, progress=part / 10) for part in range(3)]
    events = history(requested(expires_at=past), *told, ready())
    job_id = await written(store, events)
    found = (await due(store, past + timedelta(seconds=1)))[job_id]
    assert (found.history[0], found.history[-2:], found.seq) == (events[0], tuple(events[-2:]), 5)
    assert fold(found.history) == fold(events)
    assert await store.overdue(past + timedelta(seconds=1)) == len(await store.expired(past + timedelta(seconds=1), 1000))
    await store.purge({job_id: 5})


async def test_a_job_expires_only_as_it_was_seen(store: EventStore) -> None:
    jobs = [await written(store, history(requested(), ready())) for _ in range(2)]
    await store.append(envelope(uploaded(), jobs[1]))
    ends = [(envelope(JobExpired(), job_id, id=expiry_id(job_id)), 3) for job_id in jobs]
    assert await store.expire([]) == set()
    assert await store.expire(ends) == {jobs[0]}
    assert await store.expire(ends) == set(), "it is there already"
    assert [fold(await store.history(job_id)).status for job_id in jobs] == ["expired", "done"]


async def test_a_job_s_time_is_up_when_it_is_deleted_and_put_off_while_it_is_not(store: EventStore) -> None:
    past = NOW - timedelta(days=2000)
    jobs = [await written(store, history(requested(expires_at=past), ready())) for _ in range(2)]
    await store.append(envelope(JobExpired(), jobs[1], at=past - timedelta(hours=1)))
    assert set(jobs) & {*await due(store, past)} == {jobs[1]}
    later = dict.fromkeys(jobs, past + timedelta(hours=1))
    await store.put_off(later, unless_expired=True)
    assert set(jobs) & {*await due(store, past + timedelta(minutes=1))} == {jobs[1]}
    await store.put_off(later, unless_expired=False)
    assert not set(jobs) & {*await due(store, past + timedelta(minutes=1))}
    assert set(jobs) <= {*await due(store, past + timedelta(hours=2))}
    await store.purge(dict.fromkeys(jobs, 9))


async def due(store: EventStore, now: datetime) -> dict[UUID, Due]:
    return {each.job_id: each for each in await store.expired(now, 10_000)}


async def test_an_upload_is_needed_while_a_job_of_it_stands(store: EventStore) -> None:
    key, other = (f"uploads/{uuid4()}/file.mp4" for _ in range(2))
    assert await store.needed_uploads([key, other]) == await store.needed_uploads([]) == set()
    job_id = await written(store, history(requested(upload_key=key), ready()))
    assert await store.needed_uploads([other, key]) == {key}
    await store.purge({job_id: 2})
    assert await store.needed_uploads([key]) == set()


async def test_a_lease_has_one_holder_at_a_time(store: EventStore) -> None:
    async with store.lease("sweep") as first, store.lease("sweep") as second, store.lease("other") as other:
        assert (first, second, other) == (True, False, True)
    async with store.lease("sweep") as again:
        assert again


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


async def test_an_event_that_no_database_keeps_costs_those_that_go_with_it_nothing(servers: dict[str, str]) -> None:
    openings = [history(requested())[0] for _ in range(20)]
    async with open_event_store(servers["DATABASE_URL"]) as store:
        for opening in openings:
            await store.append(opening)
        events = [envelope(StageProgress(stage=StageName.CLIPPER, progress=0.5), one.job_id) for one in openings]
        events[7] = replace(events[7], correlation_id="\0")
        found = await asyncio.gather(*(store.append(event) for event in events), return_exceptions=True)
        assert [isinstance(one, asyncpg.PostgresError) for one in found] == [place == 7 for place in range(20)]
        assert [len(await store.history(one.job_id)) for one in openings] == [1 if place == 7 else 2 for place in range(20)]
