"""Askers of the source cache, the fetches they make, and the real cache watched at what it answers."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID, uuid4

from libs.common.domain.failures import Failure
from libs.common.runtime.source_cache import Claimed, Fetched, PostgresSourceCache, Section, SourceCache, Waiting, fetched_once

T = TypeVar("T")
TEN = Section(10, 20)
WHOLE = Section()


def a_source() -> bytes:
    return uuid4().bytes * 2


def of(section: Section, fetch_id: UUID, result: bytes = b"{}") -> Fetched:
    return Fetched(section, f"sources/cache/{fetch_id}.mp4", result)


async def soon(awaitable: Awaitable[T]) -> T:
    """Well before a lease of 30 s ends."""
    async with asyncio.timeout(40):
        return await awaitable


@dataclass
class Fetcher:
    """A fetch that is counted, says when it begins and ends when it is told."""

    section: Section = TEN
    failure: Exception | None = None
    result: bytes = b"{}"
    ids: list[UUID] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Event = field(default_factory=asyncio.Event)
    was_cancelled: bool = False

    @classmethod
    def quick(cls, section: Section = TEN, failure: Exception | None = None, result: bytes = b"{}") -> "Fetcher":
        fetcher = cls(section, failure, result)
        fetcher.end.set()
        return fetcher

    async def __call__(self, fetch_id: UUID) -> Fetched:
        self.ids.append(fetch_id)
        self.begun.set()
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.failure:
            raise self.failure
        return of(self.section, fetch_id, self.result)


def asking(cache: SourceCache, source: bytes, fetch: Fetcher, section: Section = TEN, *, lease: float = 30) -> asyncio.Task[Fetched]:
    return asyncio.create_task(fetched_once(cache, source, section, fetch, ttl=60, lease=lease))


class Watched(PostgresSourceCache):
    """The real cache, which counts those who were told to wait and notes renewals."""

    def __init__(self, real: PostgresSourceCache, waiting: asyncio.Semaphore | None = None) -> None:
        self._sql, self._holder = real._sql, real._holder
        self.waiting = waiting or asyncio.Semaphore(0)
        self.renewed, self.not_renewed = asyncio.Event(), asyncio.Event()

    async def until_waiting(self, askers: int = 1) -> None:
        for _ in range(askers):
            await soon(self.waiting.acquire())

    async def claim(self, fetch_id: UUID, source: bytes, section: Section, lease: float) -> Fetched | Waiting | Claimed:
        answer = await super().claim(fetch_id, source, section, lease)
        if isinstance(answer, Waiting):
            self.waiting.release()
        return answer

    async def hold(self, fetch_id: UUID, lease: float) -> bool:
        try:
            held = await super().hold(fetch_id, lease)
        except Failure:
            self.not_renewed.set()
            raise
        self.renewed.set()
        return held
