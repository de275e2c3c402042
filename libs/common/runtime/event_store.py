"""The event table: append and history, and what the janitor asks of it. Its SQL is in event_store.sql.

`EventStore` is the contract; `PostgresEventStore` keeps it here, `tests/fakes.py` in memory, and one conformance suite holds both to it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg

from libs.common.domain.events import ClipsRequested, Envelope, JobReplayed, decode, encode, is_known, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.postgres import Connection, Pool, Statements, as_outage, open_pool
from libs.common.runtime.telemetry import measured

LEASE_SILENCE = 30
"""Seconds after which the database takes a lease from a holder that says nothing."""
SEQUENCE_RACES = 50
"""Writers that may take the same sequence number at once before an append gives up; each loser re-reads and tries again."""


class EventStore(Protocol):
    """One job's events in order, each event once. Every verb raises Failure(outage="postgres") when the database can't be reached."""

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Envelope:
        """Write the event as the job's next, unless its id is there already; return the one that stands.

        `expires_at` goes with an event that opens the job (clips.requested, job.replayed) and puts it in the janitor's index.
        """
        ...

    async def history(self, job_id: UUID) -> list[Envelope]:
        """The job's events by sequence; empty for an unknown job. Types that this version doesn't know are left out."""
        ...

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        """Open jobs whose last event is older than `since`, by id, beginning after `after`."""
        ...

    async def unbegun(self, limit: int) -> int:
        """How many open jobs wait for their first stage, or for that of a replay, published or not; counted up to `limit`."""
        ...

    async def close(self, job_ids: list[UUID]) -> None:
        """Take jobs that are over out of the index of open ones."""
        ...

    async def expired(self, now: datetime, limit: int) -> list[UUID]:
        """Jobs (or what is left of them) whose time is up, oldest first."""
        ...

    async def hasten(self, job_id: UUID, expires_at: datetime) -> None:
        """The job's time is up then, if that is sooner than it was to be."""
        ...

    async def forget(self, job_id: UUID, *, until: datetime) -> None:
        """Delete the job's events but for job.expired, which stays `until` then, so that the job still answers 410."""
        ...

    async def purge(self, job_id: UUID) -> None:
        """Delete all that is known of the job."""
        ...

    async def is_upload_needed(self, key: str) -> bool:
        """Whether a job that isn't forgotten yet asked for a clip of this upload, or its sender may still do so."""
        ...

    def lease(self, name: str) -> AbstractAsyncContextManager[bool]:
        """True for one holder of this name at a time, False at once for the others; a holder that dies gives it up."""
        ...

    async def ping(self) -> None:
        """Raises Failure(outage="postgres") unless the database answers."""
        ...


class PostgresEventStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = Statements(pool, "event_store.sql")

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Envelope:
        for _ in range(SEQUENCE_RACES):
            try:
                seq = await self._insert(envelope, expires_at)
            except asyncpg.UniqueViolationError:  # another event took this sequence number
                continue
            return envelope if seq is not None else await self._standing(envelope)
        raise Failure(Code.RETRYABLE_ERROR, "too many writers on one job at once")

    async def append_within(self, connection: Connection, envelope: Envelope, *, expires_at: datetime) -> Envelope:
        """`append`, of an event that opens its job, in a transaction that is under way; a race for its number is an error to try again."""
        try:
            seq = await connection.fetchval(self._sql["append_opening"], *_values(envelope), expires_at)
        except asyncpg.UniqueViolationError as error:
            raise Failure(Code.RETRYABLE_ERROR, "too many writers on one job at once") from error
        if seq is not None:
            return envelope
        return decode(await connection.fetchval(self._sql["standing"], envelope.id))

    async def _insert(self, envelope: Envelope, expires_at: datetime | None) -> int | None:
        event = envelope.event
        if isinstance(event, ClipsRequested):
            expires_at = event.expires_at
        seq: int | None
        if expires_at is not None:
            seq = await self._sql.value("append_opening", *_values(envelope), expires_at)
            return seq
        if isinstance(event, JobReplayed):
            raise TypeError("a replay opens its job again: say when it expires")
        seq = await self._sql.value("append", *_values(envelope))
        return seq

    async def _standing(self, envelope: Envelope) -> Envelope:
        row = await self._sql.value("standing", envelope.id)
        return decode(row) if row is not None else envelope  # forgotten in between: nothing stands against it

    async def history(self, job_id: UUID) -> list[Envelope]:
        rows = await self._sql.rows("history", job_id)
        return [decode(row["envelope"]) for row in rows if is_known(row["type"])]

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        return [row["job_id"] for row in await self._sql.rows("silent", after, since, limit)]

    async def unbegun(self, limit: int) -> int:
        return int(await self._sql.value("unbegun", limit))

    async def close(self, job_ids: list[UUID]) -> None:
        await self._sql.rows("close", job_ids)

    async def expired(self, now: datetime, limit: int) -> list[UUID]:
        return [row["job_id"] for row in await self._sql.rows("expired", now, limit)]

    async def hasten(self, job_id: UUID, expires_at: datetime) -> None:
        await self._sql.rows("hasten", job_id, expires_at)

    async def forget(self, job_id: UUID, *, until: datetime) -> None:
        await self._sql.rows("forget", job_id, until)

    async def purge(self, job_id: UUID) -> None:
        await self._sql.rows("purge", job_id)

    async def is_upload_needed(self, key: str) -> bool:
        return bool(await self._sql.value("is_upload_needed", key))

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[bool]:
        """An advisory lock of one connection: its reset frees the lock, Postgres does when the connection breaks."""
        with as_outage(), measured("postgres", "lease"):
            connection = await self._pool.acquire(timeout=5)
        try:
            with as_outage():
                held = await connection.fetchval(self._sql["lease"], name)
                await connection.execute(f"SET idle_session_timeout = '{LEASE_SILENCE}s'")
            async with _watched(connection):
                yield held
        except BaseException:  # most of all a cancellation: a broken connection must not take its place
            with suppress(Exception):
                await self._given_back(connection)
            raise
        with as_outage():
            await self._given_back(connection)

    async def _given_back(self, connection: Connection) -> None:
        """Without its lock, or not at all."""
        try:
            await connection.reset(timeout=5)
        except BaseException:
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    async def ping(self) -> None:
        with as_outage(), measured("postgres", "ping"):
            await self._pool.fetchval("SELECT 1", timeout=3)


def _values(envelope: Envelope) -> tuple[object, ...]:
    return envelope.id, envelope.job_id, type_of(envelope.event), envelope.at, encode(envelope).decode()


@asynccontextmanager
async def _watched(connection: Connection) -> AsyncIterator[None]:
    """A holder that is stopped or cut off loses its lease after LEASE_SILENCE; when it goes on, it finds out here, and its work ends."""
    holder, lost = asyncio.current_task(), False

    async def watch() -> None:
        nonlocal lost
        try:
            while True:
                await asyncio.sleep(LEASE_SILENCE / 6)
                await connection.execute("SELECT 1", timeout=LEASE_SILENCE / 6)
        except Exception:  # noqa: BLE001  however it is that it can't be reached
            lost = holder is not None and holder.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if lost and holder and holder.uncancel() == 0:
            raise Failure(Code.RETRYABLE_ERROR, "a lease was lost with its connection", outage="postgres") from None
        raise
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@asynccontextmanager
async def open_event_store(url: str, *, connections: int = 10) -> AsyncIterator[PostgresEventStore]:
    """A store over a pool of its own."""
    async with open_pool(url, connections=connections) as pool:
        yield PostgresEventStore(pool)
