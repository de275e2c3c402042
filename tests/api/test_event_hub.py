"""The hub's own reading: for all clients, so in the name of none."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

from structlog.contextvars import bound_contextvars, get_contextvars

from libs.common.runtime.event_feed import Batch, Cursor, EventFeed
from services.api.event_hub import EventHub


class Noting(EventFeed):
    """A feed in which nothing happens: it notes in whose name it is read."""

    def __init__(self) -> None:
        self.read_for = asyncio.get_running_loop().create_future()

    async def end(self) -> Cursor:
        self.read_for.set_result(get_contextvars())
        return Cursor()

    async def follow(self, *_: object, **__: object) -> AsyncIterator[Batch]:
        await asyncio.Event().wait()
        yield Batch([], Cursor(), is_last=True)


async def test_the_feed_is_not_read_in_the_name_of_the_client_that_came_first() -> None:
    feed = Noting()
    with bound_contextvars(correlation_id="the first client's", job_id="its job"), EventHub(feed, most=1).listening(uuid4(), "me"):
        async with asyncio.timeout(20):
            assert await feed.read_for == {}
