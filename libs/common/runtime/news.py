"""Saying which jobs have new events, and hearing it: best effort, nothing waits for it, nothing is lost with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from uuid import UUID

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.common.domain.news import MOST, SUBJECT, News, news_of
from libs.common.runtime.logs import logger

log = logger(__name__)
PAUSE = 0.005
"""Seconds between two messages of one process: the first goes at once, and what comes meanwhile goes with the next."""
PATIENCE = 0.5
"""Seconds between two looks whether there is a connection to listen on."""


class Teller:
    """`told(job_id)` is called when an event of the job was committed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jobs: set[UUID] = set()
        self._saying: asyncio.Task[None] | None = None

    def told(self, job_id: UUID) -> None:
        if not self._client.is_connected:  # nats-py would keep it, and send a heap of old ones when the server is back
            return
        self._jobs.add(job_id)
        if self._saying is None:
            self._saying = asyncio.create_task(self._say(), name="news", context=Context())

    async def _say(self) -> None:
        try:
            while self._jobs:
                some = [self._jobs.pop() for _ in range(min(MOST, len(self._jobs)))]
                await self._client.publish(SUBJECT, msgspec.json.encode(News(some)))
                await asyncio.sleep(PAUSE)
        except (nats.errors.Error, OSError) as error:
            self._jobs.clear()
            log.debug("news not sent", error=type(error).__name__)
        finally:
            self._saying = None

    async def stop(self) -> None:
        if self._saying:
            self._saying.cancel()
            await asyncio.gather(self._saying, return_exceptions=True)


@asynccontextmanager
async def telling(client: Client) -> AsyncIterator[Callable[[UUID], None]]:
    """What a store calls with each job whose event it has committed."""
    teller = Teller(client)
    try:
        yield teller.told
    finally:
        await teller.stop()


async def listen(client: Client, ring: Callable[[Iterable[UUID]], None]) -> None:
    """Call `ring` with the jobs that are told of, until cancelled."""

    async def hear(msg: Msg) -> None:
        if news := news_of(msg.data):
            ring(news.jobs)

    while not client.is_connected:
        await asyncio.sleep(PATIENCE)
    subscription = await client.subscribe(SUBJECT, cb=hear)
    try:
        await asyncio.Event().wait()
    finally:
        with suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()
