"""In-memory stand-ins for the outside world, a few lines each. The conformance suite holds the store's to the real one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from libs.common.domain.due import Due
from libs.common.domain.events import ClipsRequested, Envelope, JobExpired, JobReplayed, StageName, encode
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import headers_of
from libs.common.runtime.event_store import EventStore, Looked, Start, Stored
from libs.common.runtime.health import Health


class MemoryOpening:
    """Without a list, and so without a cap."""

    def __init__(self, store: EventStore) -> None:
        self.store = store

    async def open(self, envelopes: Sequence[Envelope], _cap: int) -> None:
        for envelope in envelopes:
            await self.store.append(envelope)

    async def reopen(self, replayed: Envelope, expires_at: datetime, _cap: int) -> Envelope:
        return (await self.store.append(replayed, expires_at=expires_at)).envelope


class MemoryEventStore:
    def __init__(self) -> None:
        self.rows: list[Envelope] = []
        self.index: dict[UUID, tuple[datetime, bool]] = {}
        self.leases: set[str] = set()

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
        standing = next((row for row in self.rows if row.id == envelope.id), None)
        if standing:
            return Stored(standing, (await self.history(envelope.job_id)).index(standing) + 1)
        self.rows.append(envelope)
        if isinstance(envelope.event, ClipsRequested):
            expires_at = envelope.event.expires_at
        if expires_at:
            known = self.index.get(envelope.job_id)
            self.index[envelope.job_id] = (known[0] if known else expires_at, True)
        if isinstance(envelope.event, JobExpired) and (known := self.index.get(envelope.job_id)):
            self.index[envelope.job_id] = (min(known[0], envelope.at), known[1])
        return Stored(envelope, len(await self.history(envelope.job_id)))

    async def history(self, job_id: UUID) -> list[Envelope]:
        return [row for row in self.rows if row.job_id == job_id]

    async def begin(self, start: Start) -> Looked:
        events = await self.history(start.envelope.job_id)
        if events and events[-1].id == start.after and (await self.append(start.envelope)).envelope is start.envelope:
            events.append(start.envelope)
        return Looked(events, len(events))

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        last = {row.job_id: row.at for row in self.rows}
        return [job for job in sorted(self.index) if job > after and self.index[job][1] and last[job] < since][:limit]

    async def unbegun(self, limit: int) -> int:
        last = {row.job_id: row.event for row in self.rows}
        waiting = [job for job, (_, is_open) in self.index.items() if is_open and isinstance(last[job], ClipsRequested | JobReplayed)]
        return min(len(waiting), limit)

    async def close(self, ends: Sequence[Envelope]) -> None:
        last = {row.job_id: row.id for row in self.rows}
        over = [end.job_id for end in ends if end.job_id in self.index and last[end.job_id] == end.id]
        self.index |= {job: (self.index[job][0], False) for job in over}

    async def expired(self, now: datetime, limit: int) -> list[Due]:
        jobs = [job for job, (at, _) in sorted(self.index.items(), key=lambda item: item[1]) if at < now][:limit]
        return [Due(job, tuple(await self.history(job)), len(await self.history(job))) for job in jobs]

    async def overdue(self, now: datetime) -> int:
        return sum(at < now for at, _ in self.index.values())

    async def expire(self, events: Sequence[tuple[Envelope, int]]) -> set[UUID]:
        return {event.job_id for event, seq in events if seq == len(await self.history(event.job_id)) + 1 and await self.append(event)}

    async def put_off(self, until: Mapping[UUID, datetime], *, unless_expired: bool) -> None:
        over = self._over() if unless_expired else set()
        for job, at in until.items():
            if job in self.index and job not in over:
                self.index[job] = (max(at, self.index[job][0]), self.index[job][1])

    async def forget(self, job_ids: Sequence[UUID], *, until: datetime) -> None:
        gone = self._over().intersection(job_ids)
        self.rows = [row for row in self.rows if row.job_id not in gone or isinstance(row.event, JobExpired)]
        self.index |= dict.fromkeys(gone, (until, False))

    async def purge(self, seen: Mapping[UUID, int]) -> None:
        for job, seq in seen.items():
            if len(await self.history(job)) <= seq:
                self.rows = [row for row in self.rows if row.job_id != job]
                self.index.pop(job, None)

    def _over(self) -> set[UUID]:
        return {row.job_id for row in self.rows if isinstance(row.event, JobExpired)}

    async def needed_uploads(self, keys: Sequence[str]) -> set[str]:
        return {row.event.upload_key for row in self.rows if isinstance(row.event, ClipsRequested)}.intersection(keys)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[bool]:
        held = name not in self.leases
        self.leases.add(name)
        try:
            yield held
        finally:
            if held:
                self.leases.discard(name)

    async def ping(self) -> None:
        return None


@dataclass
class MemoryBus:
    published: list[Envelope] = field(default_factory=list)
    buried: list[tuple[bytes, StageName, Failure, int]] = field(default_factory=list)

    async def publish(self, envelope: Envelope, *, message_id: str | None = None) -> bool:
        self.published.append(envelope)
        return True

    async def bury(self, delivery: "MemoryDelivery", stage: StageName, failure: Failure, attempts: int) -> None:
        self.buried.append((delivery.body, stage, failure, attempts))

    async def ping(self) -> None:
        return None


@dataclass
class MemoryDelivery:
    """A message whose settlements are kept in `did`, in order."""

    body: bytes
    subject: str = "source.ready"
    sequence: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    delay: float = 0.0
    deliveries: int = 1

    @classmethod
    def of(cls, envelope: Envelope, *, by_hand: bool = False, sequence: int = 1) -> "MemoryDelivery":
        return cls(encode(envelope), sequence=sequence, headers={} if by_hand else headers_of(envelope))

    @property
    def is_by_hand(self) -> bool:
        return "Nats-Msg-Id" not in self.headers

    async def in_progress(self) -> None:
        self.did.append("in_progress")

    async def ack(self) -> None:
        self.did.append("ack")

    async def nak(self, delay: float) -> None:
        self.did.append("nak")
        self.delay = delay

    async def term(self, reason: str) -> None:
        self.did.append("term")


class Switch:
    """A dependency that a test turns off and on."""

    def __init__(self, failure: Callable[[], Failure]) -> None:
        self.failure = failure
        self.is_on = True
        self.asked = asyncio.Event()
        self._returns = False

    def returns_when_asked(self) -> None:
        """Away for one ping more, and back from then on."""
        self.is_on, self._returns = False, True

    async def ping(self) -> None:
        self.asked.set()
        if not self.is_on:
            self.is_on, self._returns = self._returns, False
            raise self.failure()


def healthy(**pings: Callable[[], object]) -> Health:
    return Health(pings)  # type: ignore[arg-type]


def retimed(envelope: Envelope, at: datetime) -> Envelope:
    return msgspec.structs.replace(envelope, at=at)


NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
"""When the tests' events are said to have happened: lately, as real services compare it with their clock."""
