"""How streams learn that something happened: by the news at once, by the feed a little later, and whatever breaks, not never."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from uuid import UUID, uuid4

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from libs.common.domain.events import JobCancelled
from libs.common.runtime.event_feed import Batch, Cursor, Entry, EventFeed
from services.api.event_hub import EventHub
from services.api.event_streams import EventStream, EventStreams
from tests.api.conftest import Running
from tests.api.following import BrokenOnce, Deaf, following, let_in, no_news
from tests.builders import envelope, requested


class Given(EventFeed):
    """A feed that tells what it is given, and notes in whose name it is read."""

    def __init__(self) -> None:
        self.read_for = asyncio.get_running_loop().create_future()
        self.entries = asyncio.Queue[Entry]()

    async def end(self) -> Cursor:
        self.read_for.set_result(get_contextvars())
        return Cursor()

    async def follow(self, *_: object, **__: object) -> AsyncIterator[Batch]:
        while True:
            entry = await self.entries.get()
            yield Batch([entry], entry.cursor, is_last=True)
            self.entries.task_done()


async def test_the_feed_is_not_read_in_the_name_of_the_client_that_came_first() -> None:
    feed = Given()
    with bound_contextvars(correlation_id="the first client's", job_id="its job"), EventHub(feed, no_news, most=1).listening(uuid4(), "me"):
        async with asyncio.timeout(20):
            assert await feed.read_for == {}


async def test_the_feed_wakes_nobody_for_what_he_has_read() -> None:
    feed, event = Given(), envelope(requested())
    with EventHub(feed, no_news, most=2).listening(event.job_id, "me") as bell:
        await feed.read_for
        for seen, number, rings in ((0, 1, True), (1, 1, False), (2, 1, False), (2, 3, True)):
            bell.clear()
            bell.seen = seen
            feed.entries.put_nowait(Entry(Cursor(1, number), number, event))
            await feed.entries.join()
            assert bell.is_set() == rings


async def test_the_news_wakes_those_who_follow_the_job() -> None:
    rings = asyncio.get_running_loop().create_future()

    async def news(ring: Callable[[Iterable[UUID]], None]) -> None:
        rings.set_result(ring)
        await asyncio.Event().wait()

    mine, other = uuid4(), uuid4()
    hub = EventHub(Given(), news, most=10)
    with hub.listening(mine, "me") as my_bell, hub.listening(other, "you") as other_bell:
        ring = await rings
        await hub_at_rest(my_bell, other_bell)
        ring([mine, uuid4()])
        assert (my_bell.is_set(), other_bell.is_set()) == (True, False)


async def hub_at_rest(*bells: asyncio.Event) -> None:
    """All have rung once, as they do when the hub begins."""
    for bell in bells:
        await bell.wait()
        bell.clear()


async def test_an_event_reaches_its_client_without_a_look_at_the_feed(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.event_hub.POLL", 3600.0)
    job_id = await api.knows(envelope(requested()))
    async with following(api.http, job_id) as stream, asyncio.timeout(20):
        assert (await stream.next()).type == "clips.requested"
        await api.to.store.append(envelope(JobCancelled(by="client"), job_id))
        assert [one.type for one in await stream.rest()] == ["job.cancelled"]


async def test_a_hub_that_breaks_begins_again_and_nothing_is_missed(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    streams, client = EventStreams(api.to.pool, no_news, most=1), Deaf(takes=1_000_000)
    feed = BrokenOnce(api.to.pool)
    streams.hub = EventHub(feed, no_news, most=1)
    stream = asyncio.create_task(EventStream(streams, job_id, "me", 0, let_in)({}, client.receive, client.send))
    await client.hears(b"clips.requested")
    await feed.broke.wait()
    await api.to.store.append(envelope(JobCancelled(by="client"), job_id))
    await client.hears(b"job.cancelled")
    await stream
