"""The event store and the object store behind gates: the fakes' own, told to the ledger."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.domain.due import Due
from libs.common.domain.events import Envelope, JobReplayed
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.event_store import Looked, Start, Stored
from libs.common.runtime.object_store import ObjectInfo
from tests.fakes import NOW, MemoryEventStore
from tests.runtime.simulation.gates import ACTOR, at_once, through_gate
from tests.runtime.simulation.ledger import Ledger


def database_away() -> Failure:
    return Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres")


def storage_away() -> Failure:
    return Failure(Code.STORAGE_UNAVAILABLE, "the storage can't be reached", outage="s3")


class GatedStore:
    """Every verb is one transaction: it happens when its gate opens."""

    def __init__(self, memory: MemoryEventStore, ledger: Ledger) -> None:
        self.memory = memory
        self.ledger = ledger

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
        actor = ACTOR.get()

        def write() -> Stored:
            known = len(self.memory.rows)
            stood: Stored = at_once(self.memory.append(envelope, expires_at=expires_at))
            if len(self.memory.rows) > known:
                self.ledger.appended(actor, envelope)
            if isinstance(envelope.event, JobReplayed):
                self.ledger.learned(actor, stood.envelope)
            return stood

        return await self._gated(f"append {type(envelope.event).__name__}", write)

    async def history(self, job_id: UUID) -> list[Envelope]:
        actor = ACTOR.get()

        def read() -> list[Envelope]:
            self.ledger.looked(actor, job_id)
            rows: list[Envelope] = at_once(self.memory.history(job_id))
            return rows

        return await self._gated("history", read)

    async def begin(self, start: Start) -> Looked:
        actor = ACTOR.get()

        def look() -> Looked:
            self.ledger.looked(actor, start.envelope.job_id)
            known = len(self.memory.rows)
            looked: Looked = at_once(self.memory.begin(start))
            if len(self.memory.rows) > known:
                self.ledger.appended(actor, start.envelope)
            return looked

        return await self._gated("begin", look)

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        return await self._gated("silent", lambda: at_once(self.memory.silent(since, after=after, limit=limit)))

    async def close(self, ends: Sequence[Envelope]) -> None:
        await self._gated("close", lambda: at_once(self.memory.close(ends)))

    async def expired(self, now: datetime, limit: int) -> list[Due]:
        return await self._gated("expired", lambda: at_once(self.memory.expired(now, limit)))

    async def expire(self, events: Sequence[tuple[Envelope, int]]) -> set[UUID]:
        actor = ACTOR.get()

        def write() -> set[UUID]:
            ended: set[UUID] = at_once(self.memory.expire(events))
            for event, _ in events:
                if event.job_id in ended:
                    self.ledger.appended(actor, event)
            return ended

        return await self._gated("expire", write)

    async def put_off(self, until: Mapping[UUID, datetime], *, unless_expired: bool) -> None:
        await self._gated("put off", lambda: at_once(self.memory.put_off(until, unless_expired=unless_expired)))

    async def forget(self, job_ids: Sequence[UUID], *, until: datetime) -> None:
        await self._gated("forget", lambda: at_once(self.memory.forget(job_ids, until=until)))

    async def purge(self, seen: Mapping[UUID, int]) -> None:
        await self._gated("purge", lambda: at_once(self.memory.purge(seen)))

    async def needed_uploads(self, keys: Sequence[str]) -> set[str]:
        return await self._gated("needed uploads", lambda: at_once(self.memory.needed_uploads(keys)))

    def lease(self, name: str) -> AbstractAsyncContextManager[bool]:
        return self.memory.lease(name)

    async def ping(self) -> None:
        return None

    async def _gated(self, label: str, effect: Callable[[], Any]) -> Any:
        return await through_gate(label, "postgres", effect, database_away)


class GatedBucket:
    """A bucket's put, list and delete."""

    def __init__(self, objects: set[str]) -> None:
        self._objects = objects

    async def put(self, key: str, body: bytes, _content_type: str) -> int:
        await through_gate("put", "s3", lambda: self._objects.add(key), storage_away)
        return len(body)

    async def delete(self, keys: list[str]) -> None:
        await through_gate("delete objects", "s3", lambda: self._objects.difference_update(keys), storage_away)

    async def discard(self, keys: Sequence[str]) -> set[str]:
        await self.delete(list(keys))
        return set()

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        found = await through_gate("list", "s3", lambda: sorted(key for key in self._objects if key.startswith(prefix)), storage_away)
        for key in found:
            yield ObjectInfo(key, 1, "etag", NOW)
