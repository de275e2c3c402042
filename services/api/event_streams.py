"""How a job's events go to a client as Server-Sent Events while they happen: what a process's streams share, and one stream.

The route is in job_events.py.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from litestar.types import Receive, Scope, Send

from libs.common.domain.events import decode, is_known
from libs.common.domain.failures import Failure
from libs.common.runtime import tracing
from libs.common.runtime.event_feed import EventFeed
from libs.common.runtime.gathering import Gathering
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements
from services.api.event_frames import KEEP_ALIVE, OPENING, Numbered, Telling
from services.api.event_hub import Bell, EventHub, News

log = logger(__name__)

PAGE = 100
READERS = 4
"""Looks at once: all streams may be woken together, and others need the pool's connections too."""
MOST_PLACES = 1_000
"""In one look."""
HEADERS = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
"""The second tells proxies of nginx's kind to pass on what they get at once."""

Place = tuple[UUID, int]
"""A job, and the number of the last event of it that was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds."""

    keep_alive: float = 15.0
    check: float = 3.0
    """How often the door is asked again: with its own memory of 5 s a revoked key is out within 10."""
    outage: float = 1.0
    patience: float = 30.0
    """What a client may take to read what was sent."""


class EventStreams:
    """What all streams of a process share."""

    def __init__(self, pool: Pool, news: News, *, most: int, pace: Pace | None = None) -> None:
        self.hub = EventHub(EventFeed(pool), news, most=most)
        self.pace = pace or Pace()
        self._sql = Statements(pool, "event_streams.sql", "services.api")
        self._looks: Gathering[Place, list[Numbered]] = Gathering(self._look, ways=READERS, most=MOST_PLACES)

    async def behind(self, job_id: UUID, seq: int) -> list[Numbered]:
        """The next events, at most PAGE. Raises Failure(outage="postgres")."""
        return await self._looks((job_id, seq))

    async def _look(self, places: Sequence[Place]) -> list[list[Numbered]]:
        """For all streams that were woken together: those of one job mostly stand at one place, and are told the same."""
        found: dict[Place, list[Numbered]] = {place: [] for place in places}
        for row in await self._sql.rows("behind", *zip(*found, strict=True), PAGE):
            found[row["job_id"], row["after"]].append((row["seq"], decode(row["envelope"]) if is_known(row["type"]) else None))
        return [found[place] for place in places]

    async def last(self, job_id: UUID) -> int:
        """The number of the job's last event so far."""
        return int(await self._sql.value("last", job_id))


@dataclass(frozen=True, slots=True)
class EventStream:
    """One client's stream, as an ASGI application. Whatever ends it, nothing of it is left."""

    streams: EventStreams
    job_id: UUID
    client: str
    after: int
    let_in: Callable[[], Awaitable[None]]

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Raises Failure(BACKPRESSURE) before anything is sent, where there is no place for it."""
        with tracing.quiet(), self.streams.hub.listening(self.job_id, self.client) as bell:
            speaking, leaving = asyncio.create_task(self._speak(send, bell)), asyncio.create_task(_left(receive))
            try:
                await asyncio.wait((speaking, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                speaking.cancel()
                leaving.cancel()
                await asyncio.gather(speaking, leaving, return_exceptions=True)
        if not speaking.cancelled():
            speaking.result()

    async def _speak(self, send: Send, bell: Bell) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        async with aclosing(self._chunks(bell)) as chunks:
            async for chunk in chunks:
                await self._send(send, chunk, more=True)
        await self._send(send, b"", more=False)

    async def _send(self, send: Send, chunk: bytes, *, more: bool) -> None:
        """The server holds back while the client reads nothing; one that never does is given up."""
        async with asyncio.timeout(self.streams.pace.patience):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def _chunks(self, bell: Bell) -> AsyncGenerator[bytes, None]:
        pace, telling, spoke = self.streams.pace, Telling(self.after), time.monotonic()
        yield OPENING
        while not self.streams.hub.is_closed:
            try:
                await self.let_in()
                chunk = await self._news(telling, bell)
            except Failure as failure:
                if failure.outage is None:  # the key is good no more, or nobody will say
                    return
                chunk = await self._wait_out(failure, bell)
            if not chunk and time.monotonic() - spoke >= pace.keep_alive:
                chunk = KEEP_ALIVE
            if chunk:
                yield chunk
                spoke = time.monotonic()
            if telling.job.is_over and not bell.is_set():
                return
            await _rung(bell, pace.check)

    async def _news(self, telling: Telling, bell: Bell) -> bytes:
        """What was committed since the last look, if the bell rang; it rings again at once where there is more."""
        if not bell.is_set():
            return b""
        bell.clear()
        events = await self.streams.behind(self.job_id, telling.seq)
        if len(events) == PAGE:
            bell.set()
        frames = telling.frames(events)
        bell.seen = telling.seq
        return frames

    async def _wait_out(self, failure: Failure, bell: Bell) -> bytes:
        """Nothing is told that could not be read, or that nobody could say is still this client's to hear."""
        log.debug("a stream waits", error=failure.message)
        bell.set()
        await asyncio.sleep(self.streams.pace.outage)
        return b""


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    """The bell rang, or the time is up."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return
