"""A stage's first look at a job, which begins it: one conformance suite for the fake and for Postgres."""

import asyncio
from uuid import uuid4

from libs.common.domain.events import Envelope, StageName
from libs.common.runtime.event_store import EventStore, Start
from tests.builders import envelope, history, ready, requested, started
from tests.runtime.test_event_store import written


def begun(opening: Envelope) -> Envelope:
    return envelope(started(StageName.RESOLVER), opening.job_id, id=uuid4())


async def test_a_job_that_nothing_happened_to_is_begun_with_the_look_at_it(store: EventStore) -> None:
    [opening] = history(requested())
    await store.append(opening)
    start = begun(opening)
    assert await store.begin(Start(start, after=opening.id)) == ([opening, start], 2)
    assert await store.begin(Start(start, after=opening.id)) == ([opening, start], 2), "it stands, once"
    assert await store.history(opening.job_id) == [opening, start]


async def test_a_job_that_went_on_is_looked_at_and_not_begun(store: EventStore) -> None:
    events = history(requested(), ready())
    await written(store, events)
    assert await store.begin(Start(begun(events[0]), after=events[0].id)) == (events, 2)
    assert await store.begin(Start(envelope(started(StageName.RESOLVER), uuid4()), after=events[0].id)) == ([], 0)
    assert await store.history(events[0].job_id) == events


async def test_of_many_that_begin_one_job_at_once_one_does(store: EventStore) -> None:
    [opening] = history(requested())
    await store.append(opening)
    starts = [begun(opening) for _ in range(40)]
    looks = await asyncio.gather(*(store.begin(Start(start, after=opening.id)) for start in starts))
    stored = await store.history(opening.job_id)
    assert len(stored) == 2
    assert [look.history[-1] for look, start in zip(looks, starts, strict=True) if start in look.history] == [stored[1]]


async def test_many_jobs_are_begun_and_told_of_each_by_itself(store: EventStore) -> None:
    openings = [history(requested())[0] for _ in range(60)]
    for opening in openings:
        await store.append(opening)
    starts = {opening.id: begun(opening) for opening in openings}
    looks = await asyncio.gather(*(store.begin(Start(starts[one.id], after=one.id)) for one in openings))
    assert looks == [([one, starts[one.id]], 2) for one in openings]
