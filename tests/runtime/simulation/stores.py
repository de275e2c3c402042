"""The event store and the object store behind gates: the fakes' own, told to the ledger."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.domain.events import Envelope, JobReplayed
from libs.common.domain.failures import Code, Failure
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

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Envelope:
        actor = ACTOR.get()

        def write() -> Envelope:
            known = len(self.memory.rows)
            stood: Envelope = at_once(self.memory.append(envelope, expires_at=expires_at))
            if len(self.memory.rows) > known:
                self.ledger.appended(actor, envelope)
            if isinstance(envelope.event, JobReplayed):
                self.ledger.learned(actor, stood)
            return stood

        return await self._gated(f"append {type(envelope.event).__name__}", write)

    async def history(self, job_id: UUID) -> list[Envelope]:
        actor = ACTOR.get()

        def read() -> list[Envelope]:
            self.ledger.looked(actor, job_id)
            rows: list[Envelope] = at_once(self.memory.history(job_id))
            return rows

        return await self._gated("history", read)

    async def silent(self, since: datetime, *, after: UUID, limit: int) -> list[UUID]:
        return await self._gated("silent", lambda: at_once(self.memory.silent(since, after=after, limit=limit)))

    async def close(self, job_ids: list[UUID]) -> None:
        await self._gated("close", lambda: at_once(self.memory.close(job_ids)))

    async def expired(self, now: datetime, limit: int) -> list[UUID]:
        return await self._gated("expired", lambda: at_once(self.memory.expired(now, limit)))

    async def forget(self, job_id: UUID, *, until: datetime) -> None:
        await self._gated("forget", lambda: at_once(self.memory.forget(job_id, until=until)))

    async def purge(self, job_id: UUID) -> None:
        await self._gated("purge", lambda: at_once(self.memory.purge(job_id)))

    async def is_upload_needed(self, key: str) -> bool:
        return await self._gated("is_upload_needed", lambda: at_once(self.memory.is_upload_needed(key)))

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

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        found = await through_gate("list", "s3", lambda: sorted(key for key in self._objects if key.startswith(prefix)), storage_away)
        for key in found:
            yield ObjectInfo(key, 1, "etag", NOW)
