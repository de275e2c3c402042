"""Wakes the streams of the jobs in which something happened: one reader of the event feed for all of a process's streams."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from functools import partial
from typing import Any
from uuid import UUID

from prometheus_client import Gauge

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import every, for_ever, running
from libs.common.runtime.event_feed import Entry, EventFeed

STREAMS = Gauge("clip_event_streams", "Clients that follow a job's events at this process")

News = Callable[[Callable[[Iterable[UUID]], None]], Coroutine[Any, Any, None]]
"""Calls what it is given with jobs that have new events, as soon as it hears of them, and may miss some."""
POLL = 0.25
"""Seconds between two looks at the feed, while anybody listens: for what the news missed."""
RESTART_PAUSE = 1.0
SHARE = 8
"""One client has at most an eighth of all places, and at least one."""
FULL_RETRY = 10.0
"""Retry-After in seconds where there is no place for one more."""


class Bell(asyncio.Event):
    """Rings when its job may have events that its owner hasn't read; `seen` is the number of the last one that he has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0


class EventHub:
    """It only rings: what happened, each stream reads by itself. So a ring too many costs a query, and none is ever missed."""

    def __init__(self, feed: EventFeed, news: News, *, most: int) -> None:
        self._feed, self._news, self._most = feed, news, most
        self._bells: defaultdict[UUID, set[Bell]] = defaultdict(set)
        self._open: Counter[str] = Counter()
        self._following: asyncio.Task[None] | None = None
        self.is_closed = False

    @contextmanager
    def listening(self, job_id: UUID, client: str) -> Iterator[Bell]:
        """A bell that rings when the job may have new events, and that has rung already. Raises Failure(BACKPRESSURE)."""
        if refusal := self._refusal(client):
            raise Failure(Code.BACKPRESSURE, refusal, retry_after=FULL_RETRY)
        bell = Bell()
        bell.set()
        self._enter(job_id, client, bell)
        try:
            yield bell
        finally:
            self._leave(job_id, client, bell)

    def _refusal(self, client: str) -> str | None:
        if self.is_closed:
            return "this server is stopping"
        if self._open.total() >= self._most:
            return "as many streams are open here as can be"
        return "you have as many streams open here as one client may" if self._open[client] >= max(1, self._most // SHARE) else None

    def _enter(self, job_id: UUID, client: str, bell: Bell) -> None:
        self._bells[job_id].add(bell)
        self._open[client] += 1
        STREAMS.inc()
        if self._following is None:
            following = for_ever("event hub", self._ring_along, every(RESTART_PAUSE))
            self._following = asyncio.create_task(following, name="event hub", context=Context())  # not the first client's

    def _leave(self, job_id: UUID, client: str, bell: Bell) -> None:
        self._bells[job_id].discard(bell)
        if not self._bells[job_id]:
            del self._bells[job_id]
        self._open -= Counter([client])
        STREAMS.dec()
        if self._following and not self._bells:
            self._following.cancel()
            self._following = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Outside of it there are no streams: all end at once."""
        try:
            yield
        finally:
            self.is_closed = True
            self._ring(list(self._bells))

    async def _ring_along(self) -> None:
        """Whatever ended it, it begins again at the feed's end, and everyone looks for what was missed in between."""
        async with running(for_ever("news", partial(self._news, self._ring), every(RESTART_PAUSE))):
            after = await self._feed.end()
            self._ring(list(self._bells))
            async for batch in self._feed.follow(after, poll=POLL):
                self._ring_for(batch.entries)

    def _ring_for(self, entries: Iterable[Entry]) -> None:
        """Not where the news came first."""
        for entry in entries:
            for bell in self._bells.get(entry.envelope.job_id, ()):
                if bell.seen < entry.seq:
                    bell.set()

    def _ring(self, jobs: Iterable[UUID]) -> None:
        for job_id in jobs:
            for bell in self._bells.get(job_id, ()):
                bell.set()
