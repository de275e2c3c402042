"""New jobs, and jobs that run again, written to the database: their events, and in the same transaction what the lists know of them.

A client's cap holds across replicas.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg

from libs.common.domain.events import ClipsRequested, Envelope, JobReplayed, encode
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import Connection
from services.api.read_model import LANES, ReadModel
from services.api.requests import Refused

BUSY_AGAIN = 2.0
"""Retry-After in seconds: nobody knows when one of the client's jobs ends."""
LOCK_WAIT = "2s"
"""Another replica that holds a client's lock for longer is not waited for."""


class JobOpening:
    """`cap`s are the jobs that a client may have queued or at work at once; 0 is no cap."""

    def __init__(self, model: ReadModel, store: PostgresEventStore) -> None:
        self._model, self._store = model, store
        self._sql = model.sql
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self, envelopes: Sequence[Envelope], cap: int) -> None:
        """Requests of one client, all of them or none; those that stand already stay as they are.

        Raises Refused for an upload that was deleted; Failure: TOO_MANY_ACTIVE_JOBS; outage="postgres", when they may have been written.
        """
        asked = _requests(envelopes)[0]
        values = (
            [envelope.id for envelope in envelopes],
            [envelope.job_id for envelope in envelopes],
            [envelope.at for envelope in envelopes],
            [encode(envelope).decode() for envelope in envelopes],
            [request.expires_at for request in _requests(envelopes)],
            *(asked.tenant, asked.client, asked.group_id, asked.source_type, LANES[envelopes[0].priority], asked.upload_key),
        )
        if cap:
            async with self._place(asked.client, len(envelopes), cap) as connection:
                is_there = await connection.fetchval(self._sql["open"], *values)
        else:
            is_there = await self._sql.value("open", *values)
        if not is_there:
            raise Refused("uploadKey", "there is no upload under this uploadKey")

    async def reopen(self, replayed: Envelope, expires_at: datetime, cap: int) -> Envelope:
        """A job that runs again: the event that stands, which may be another's. Raises Failure as `open` does."""
        client = replayed.event.client if isinstance(replayed.event, JobReplayed) else ""
        async with self._place(client, 1, cap) as connection:
            await connection.execute(self._sql["hold"], [replayed.job_id])  # who read of it before this must not write after
            stored = await self._store.append_within(connection, replayed, expires_at=expires_at)
            if stored.event == replayed.event:
                await connection.execute(self._sql["reserve"], replayed.job_id, client)
        return stored

    @asynccontextmanager
    async def _place(self, client: str, wanted: int, cap: int) -> AsyncIterator[Connection]:
        """A transaction in which the client has that many places. One request of a client at a time: only one waits in the database."""
        lock = self._locks.setdefault(client, asyncio.Lock())
        async with lock:
            if cap and await self._is_full(client, wanted, cap):
                raise _too_many(cap)
            async with self._locked(client) as connection:
                if cap and len(await connection.fetch(self._sql["active"], client)) + wanted > cap:
                    raise _too_many(cap)
                yield connection

    @asynccontextmanager
    async def _locked(self, client: str) -> AsyncIterator[Connection]:
        try:
            async with self._sql.transaction("open") as connection:
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
                await connection.execute(self._sql["lock"], client)
                yield connection
        except asyncpg.LockNotAvailableError as error:
            raise Failure(Code.RETRYABLE_ERROR, "your other requests are still being written", retry_after=BUSY_AGAIN) from error

    async def _is_full(self, client: str, wanted: int, cap: int) -> bool:
        """The lists may be a moment behind: before they say no, they are brought up to date."""
        active = await self._active(client)
        if len(active) + wanted <= cap:
            return False
        await self._model.project(active)
        return len(await self._active(client)) + wanted > cap

    async def _active(self, client: str) -> list[UUID]:
        return [row["job_id"] for row in await self._sql.rows("active", client)]


def _requests(envelopes: Sequence[Envelope]) -> list[ClipsRequested]:
    return [envelope.event for envelope in envelopes if isinstance(envelope.event, ClipsRequested)]


def _too_many(cap: int) -> Failure:
    return Failure(Code.TOO_MANY_ACTIVE_JOBS, f"at most {cap} of your jobs may be under way at once", retry_after=BUSY_AGAIN)
