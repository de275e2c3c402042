"""The event table: append and history, and what the janitor asks of it. Its SQL is in event_store.sql; leases are in leases.py.

`EventStore` is the contract; `PostgresEventStore` keeps it here, `tests/fakes.py` in memory, and one conformance suite holds both to it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import asyncpg
import msgspec

from libs.common.domain.due import Due
from libs.common.domain.events import ClipsRequested, Envelope, JobExpired, JobReplayed, decode, encode, is_known, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing
from libs.common.runtime.gathering import Gathering
from libs.common.runtime.leases import LEASE_SECONDS, Leases
from libs.common.runtime.metrics import measured
from libs.common.runtime.postgres import Connection, Pool, Statements, as_outage, open_pool

SEQUENCE_RACES = 50
"""Writers that may take the same sequence number at once before an append gives up; each loser re-reads and tries again."""

WAYS = 3
"""Statements of one kind under way beside each other; what comes meanwhile goes with the next."""
TOGETHER = 64
"""Events in one statement, at most."""


class Stored(NamedTuple):
    """The event that stands under an id, and its place in its job's history."""

    envelope: Envelope
    number: int


class Looked(NamedTuple):
    """A job's events by sequence, types that this version doesn't know left out, and the place of the last of all; 0 for none."""

    history: list[Envelope]
    number: int


class Start(NamedTuple):
    """What `begin` is asked: a start, and the event that it is to follow."""

    envelope: Envelope
    after: UUID


class EventStore(Protocol):
    """One job's events in order, each event once. Every verb raises Failure(outage="postgres") when the database can't be reached."""

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
        """Write the event as the job's next, unless its id is there already; return the one that stands.

        `expires_at` goes with an event that opens the job (clips.requested, job.replayed) and puts it in the janitor's index.
        With job.expired its time is up.
        """
        ...

    async def history(self, job_id: UUID) -> list[Envelope]:
        """The job's events by sequence; empty for an unknown job. Types that this version doesn't know are left out."""
        ...

    async def begin(self, start: Start) -> Looked:
        """The job's events, to which the start is added as the next where the last of them is the one that it is to follow."""
        ...

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        """Open jobs whose last event is older than `since`, by id, beginning after `after`."""
        ...

    async def unbegun(self, limit: int) -> int:
        """How many open jobs wait for their first stage, or for that of a replay, published or not; counted up to `limit`."""
        ...

    async def close(self, ends: Sequence[Envelope]) -> None:
        """Take jobs that are over, each with its last event, out of the index of open ones; not one that has another last event by now."""
        ...

    async def expired(self, now: datetime, limit: int) -> list[Due]:
        """Jobs (or what is left of them) whose time is up, oldest first."""
        ...

    async def overdue(self, now: datetime) -> int:
        """How many those are."""
        ...

    async def expire(self, events: Sequence[tuple[Envelope, int]]) -> set[UUID]:
        """Write each job.expired under that number, which is to be its job's next. The jobs that it ended: another may have gone on."""
        ...

    async def put_off(self, until: Mapping[UUID, datetime], *, unless_expired: bool) -> None:
        """Their time is up then, if that is later than it was to be; on demand not of jobs that have job.expired by now."""
        ...

    async def forget(self, job_ids: Sequence[UUID], *, until: datetime) -> None:
        """Of those that have job.expired, delete all other events; that one stays `until` then, so that the job still answers 410."""
        ...

    async def purge(self, seen: Mapping[UUID, int]) -> None:
        """Delete all that is known of the jobs; not of one that has an event behind the number that was its last."""
        ...

    async def needed_uploads(self, keys: Sequence[str]) -> set[str]:
        """Those that a job which isn't forgotten yet asked for a clip of, or whose sender may still do so."""
        ...

    def lease(self, name: str) -> AbstractAsyncContextManager[bool]:
        """True for one holder of this name at a time, False at once for the others. One that dies loses it; who loses it is cancelled."""
        ...

    async def ping(self) -> None:
        """Raises Failure(outage="postgres") unless the database answers."""
        ...


class PostgresEventStore:
    """`lease_seconds`: how long a lease outlives its holder. `told` is called with the job of what `append` or `begin` has committed."""

    def __init__(self, pool: Pool, lease_seconds: float = LEASE_SECONDS, *, told: Callable[[UUID], None] = lambda _: None) -> None:
        self._pool = pool
        self._sql = Statements(pool, "event_store.sql")
        self._leases = Leases(pool, lease_seconds)
        self._told = told
        self._append: Gathering[Envelope, int | None] = Gathering(self._append_all, ways=WAYS, most=TOGETHER)
        self._begin: Gathering[Start, Looked] = Gathering(self._begin_all, ways=WAYS, most=TOGETHER)

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
        for _ in range(SEQUENCE_RACES):
            if seq := await self._insert(envelope, expires_at):
                self._told(envelope.job_id)
                return Stored(envelope, seq)
            if standing := await self._sql.row("standing", envelope.id):
                return Stored(decode(standing["envelope"]), standing["seq"])
        raise Failure(Code.RETRYABLE_ERROR, "too many writers on one job at once")

    async def begin(self, start: Start) -> Looked:
        with tracing.call("postgres", "begin"):
            looked = await self._begin(start)
        if looked.history and looked.history[-1] is start.envelope:
            self._told(start.envelope.job_id)
        return looked

    async def append_within(self, connection: Connection, envelope: Envelope, *, expires_at: datetime) -> Envelope:
        """`append`, of an event that opens its job, in a transaction that is under way; a race for its number is an error to try again."""
        try:
            seq = await connection.fetchval(self._sql["append_opening"], *_values(envelope), expires_at)
        except asyncpg.UniqueViolationError as error:
            raise Failure(Code.RETRYABLE_ERROR, "too many writers on one job at once") from error
        if seq is not None:
            return envelope
        [standing] = await connection.fetch(self._sql["standing"], envelope.id)
        return decode(standing["envelope"])

    async def _insert(self, envelope: Envelope, expires_at: datetime | None) -> int | None:
        """Its number; None where its id is there, or where another event took the number."""
        event = envelope.event
        if isinstance(event, ClipsRequested):
            expires_at = event.expires_at
        if expires_at is None and isinstance(event, JobReplayed):
            raise TypeError("a replay opens its job again: say when it expires")
        if expires_at is None and not isinstance(event, JobExpired):
            with tracing.call("postgres", "append"):
                return await self._append(envelope)
        seq: int | None = None
        with suppress(asyncpg.UniqueViolationError):
            if expires_at is not None:
                seq = await self._sql.value("append_opening", *_values(envelope), expires_at)
            else:
                seq = await self._sql.value("append_expired", *_values(envelope))
        return seq

    async def _append_all(self, envelopes: Sequence[Envelope]) -> list[int | None]:
        rows = await self._sql.rows("append", *zip(*map(_values, envelopes), strict=True))
        numbers = {row["event_id"]: row["seq"] for row in rows}
        return [numbers.pop(envelope.id, None) for envelope in envelopes]  # of two with one id, one is written

    async def _begin_all(self, starts: Sequence[Start]) -> list[Looked]:
        asked = [(one.job_id, after, one.id, one.at, encode(one).decode()) for one, after in starts]
        looked: list[Looked] = [Looked([], 0)] * len(starts)
        for place, rows in groupby(await self._sql.rows("begin", *zip(*asked, strict=True)), key=lambda row: row["place"]):
            looked[place - 1] = _looked(list(rows), starts[place - 1].envelope)
        return looked

    async def history(self, job_id: UUID) -> list[Envelope]:
        rows = await self._sql.rows("history", job_id)
        return [decode(row["envelope"]) for row in rows if is_known(row["type"])]

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        return [row["job_id"] for row in await self._sql.rows("silent", after, since, limit)]

    async def unbegun(self, limit: int) -> int:
        return int(await self._sql.value("unbegun", limit))

    async def close(self, ends: Sequence[Envelope]) -> None:
        await self._locked("close", [end.job_id for end in ends], [end.id for end in ends])

    async def expired(self, now: datetime, limit: int) -> list[Due]:
        rows = await self._sql.rows("expired", now, limit)
        return [_due(job_id, list(of_job)) for job_id, of_job in groupby(rows, key=lambda row: row["job_id"])]

    async def overdue(self, now: datetime) -> int:
        return int(await self._sql.value("overdue", now))

    async def expire(self, events: Sequence[tuple[Envelope, int]]) -> set[UUID]:
        fields = [(one.id, one.job_id, seq, one.at, encode(one).decode()) for one, seq in events]
        return {row["job_id"] for row in await self._sql.rows("expire", *zip(*fields, strict=True))} if fields else set()

    async def put_off(self, until: Mapping[UUID, datetime], *, unless_expired: bool) -> None:
        await self._locked("put_off", list(until), list(until.values()), unless_expired)

    async def forget(self, job_ids: Sequence[UUID], *, until: datetime) -> None:
        await self._locked("forget", list(job_ids), until)

    async def purge(self, seen: Mapping[UUID, int]) -> None:
        await self._locked("purge", list(seen), list(seen.values()))

    async def _locked(self, name: str, job_ids: list[UUID], *values: object) -> None:
        """A statement about jobs that nobody opens, ends or closes meanwhile: it sees all that was before it."""
        if job_ids:
            async with self._sql.transaction(name) as connection:
                await connection.fetch(self._sql["lock"], job_ids)
                await connection.execute(self._sql[name], job_ids, *values)

    async def needed_uploads(self, keys: Sequence[str]) -> set[str]:
        return {row["key"] for row in await self._sql.rows("needed_uploads", list(keys))}

    def lease(self, name: str) -> AbstractAsyncContextManager[bool]:
        return self._leases.held(name)

    async def ping(self) -> None:
        with as_outage(), measured("postgres", "ping"):
            await self._pool.fetchval("SELECT 1", timeout=3)


def _values(envelope: Envelope) -> tuple[object, ...]:
    return envelope.id, envelope.job_id, type_of(envelope.event), envelope.at, encode(envelope).decode()


def _looked(rows: Sequence[Any], start: Envelope) -> Looked:
    """A row without an envelope is that of the start."""
    known = (row for row in rows if is_known(row["type"]))
    return Looked([start if row["envelope"] is None else decode(row["envelope"]) for row in known], rows[-1]["seq"])


def _due(job_id: UUID, rows: Sequence[Any]) -> Due:
    read = (_readable(row["envelope"]) for row in rows if row["type"] and is_known(row["type"]))
    return Due(job_id, tuple(envelope for envelope in read if envelope), rows[-1]["seq"] or 0)


def _readable(row: str) -> Envelope | None:
    """None for what no version of ours wrote: one such job must not hold up all whose time is up."""
    try:
        return decode(row)
    except msgspec.DecodeError:
        return None


@asynccontextmanager
async def open_event_store(url: str, *, connections: int = 10, lease_seconds: float = LEASE_SECONDS) -> AsyncIterator[PostgresEventStore]:
    """A store over a pool of its own, as a stage has it."""
    async with open_pool(url, connections=connections, keeps_plans=True) as pool:
        yield PostgresEventStore(pool, lease_seconds)
