"""Sources fetched from URLs, and transcripts, kept for the next job: who fetches, who waits, what is there. SQL: source_cache.sql.

`fetched_once` is the way in. The objects themselves are the caller's and the janitor's; here are only their names.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from libs.common.domain.failures import Code, Dependency, Failure, classify
from libs.common.runtime import tracing
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements, open_pool

log = logger(__name__)
LEASE = 30.0
"""Seconds after which a fetch whose holder is silent is another's."""
RENEW_AGAIN = 1.0
"""Seconds after which a lease that could not be renewed is tried again."""
POLL = 0.25
"""Seconds between two looks at a fetch that is waited for."""
RELEASE_WAIT = 3.0
"""Seconds that a cancelled holder spends on saying so."""


@dataclass(frozen=True, slots=True)
class Section:
    """From `start` to `end`, seconds on the source's own clock; without bounds it is the whole file, which covers every other."""

    start: float = -math.inf
    end: float = math.inf

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError("a section ends after its start")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A part of a source as an object in S3; of a transcript, the result alone. `result` is JSON that the cache keeps as it is."""

    section: Section
    object_key: str | None
    result: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another's fetch is under way that covers the section."""

    fetch_id: UUID


@dataclass(frozen=True, slots=True)
class Claimed:
    """The fetch is the asker's."""

    fetch_id: UUID


@dataclass(frozen=True, slots=True)
class Spent:
    """A row whose time is up; only one that was ready names an object."""

    fetch_id: UUID
    object_key: str | None


class SourceCache(Protocol):
    """Who fetches what. A source is the SHA-256 of all that decides its bytes; leases and times are seconds.

    Every verb raises Failure(outage="postgres") when the database can't be reached.
    """

    async def claim(self, fetch_id: UUID, source: bytes, section: Section, lease: float) -> Fetched | Waiting | Claimed:
        """What covers the section: the youngest that is ready, or another's fetch, or else this one, the asker's from now on."""
        ...

    async def hold(self, fetch_id: UUID, lease: float) -> bool:
        """Renew the lease. False when the fetch is no longer the holder's."""
        ...

    async def is_under_way(self, fetch_id: UUID, section: Section) -> bool:
        """False when it is over or abandoned. Raises the Failure of a fetch of exactly this section: a wider one may ask too much."""
        ...

    async def finish(self, fetch_id: UUID, fetched: Fetched, ttl: float) -> bool:
        """Ready for `ttl` seconds, for whatever the claim or the fetched section covers. False when another took the fetch over."""
        ...

    async def fail(self, fetch_id: UUID, failure: Failure) -> None:
        """Tell those who wait; whoever asks later fetches again."""
        ...

    async def release(self, fetch_id: UUID) -> None:
        """Give a fetch up; the next asker takes it at once."""
        ...

    async def forget(self, object_key: str) -> None:
        """For whoever finds the object missing: the next asker fetches it again."""
        ...

    async def expired(self, grace: float, limit: int) -> list[Spent]:
        """Sources, failures and abandoned fetches whose time is up for `grace` seconds, oldest first."""
        ...

    async def remove(self, fetch_ids: list[UUID]) -> None:
        """Delete rows whose time is up."""
        ...

    async def named(self, object_keys: Collection[str]) -> set[str]:
        """Those of the keys that a row names."""
        ...


class PostgresSourceCache:
    """`holder` names this process to people who look into the table."""

    def __init__(self, pool: Pool, holder: str) -> None:
        self._sql = Statements(pool, "source_cache.sql")
        self._holder = holder

    async def claim(self, fetch_id: UUID, source: bytes, section: Section, lease: float) -> Fetched | Waiting | Claimed:
        async with self._sql.transaction("claim") as connection:
            await connection.execute(self._sql["lock"], source)
            await connection.execute(self._sql["clear"], source)
            row = await connection.fetchrow(self._sql["covering"], source, section.start, section.end)
            if row is None:
                await connection.execute(self._sql["begin"], fetch_id, source, section.start, section.end, self._holder, lease)
                return Claimed(fetch_id)
        return _fetched(row) if row["state"] == "ready" else Waiting(row["id"])

    async def hold(self, fetch_id: UUID, lease: float) -> bool:
        return bool(await self._sql.value("hold", fetch_id, lease))

    async def is_under_way(self, fetch_id: UUID, section: Section) -> bool:
        row = await self._sql.row("standing", fetch_id)
        if row and row["failure"] and _section(row) == section:
            raise msgspec.json.decode(row["failure"], type=_Told).failure()
        return row is not None and row["under_way"]

    async def finish(self, fetch_id: UUID, fetched: Fetched, ttl: float) -> bool:
        section, result = fetched.section, fetched.result.decode()
        return bool(await self._sql.value("finish", fetch_id, section.start, section.end, fetched.object_key, result, ttl))

    async def fail(self, fetch_id: UUID, failure: Failure) -> None:
        await self._sql.rows("fail", fetch_id, msgspec.json.encode(_Told.of(failure)).decode())

    async def release(self, fetch_id: UUID) -> None:
        await self._sql.rows("release", fetch_id)

    async def forget(self, object_key: str) -> None:
        await self._sql.rows("forget", object_key)

    async def expired(self, grace: float, limit: int) -> list[Spent]:
        return [Spent(row["id"], row["object_key"]) for row in await self._sql.rows("expired", grace, limit)]

    async def remove(self, fetch_ids: list[UUID]) -> None:
        await self._sql.rows("remove", fetch_ids)

    async def named(self, object_keys: Collection[str]) -> set[str]:
        return {row["object_key"] for row in await self._sql.rows("named", list(object_keys))}


@asynccontextmanager
async def open_source_cache(url: str, *, holder: str, connections: int = 4) -> AsyncIterator[PostgresSourceCache]:
    """A cache over a pool of its own."""
    async with open_pool(url, connections=connections) as pool:
        yield PostgresSourceCache(pool, holder)


async def fetched_once(
    cache: SourceCache,
    source: bytes,
    section: Section,
    fetch: Callable[[UUID], Awaitable[Fetched]],
    *,
    ttl: float,
    lease: float = LEASE,
) -> Fetched:
    """What covers the section of the source: fetched before, by another while we wait, or by `fetch`, whose argument is the fetch's id.

    `fetch` is cancelled when its lease is lost: a retryable Failure that costs no attempt. Its own Failure reaches all who wait for it.
    """
    fetch_id = uuid4()
    try:
        while True:
            match await cache.claim(fetch_id, source, section, lease):
                case Fetched() as fetched:
                    return fetched
                case Waiting(other):
                    await _until_over(cache, other, section)
                case Claimed():
                    return await _fetch(cache, fetch_id, fetch, ttl, lease)
    except asyncio.CancelledError:
        await asyncio.shield(_let_go(cache, fetch_id))
        raise


async def _until_over(cache: SourceCache, fetch_id: UUID, section: Section) -> None:
    with tracing.quiet():
        while await cache.is_under_way(fetch_id, section):
            await asyncio.sleep(POLL)


async def _fetch(cache: SourceCache, fetch_id: UUID, fetch: Callable[[UUID], Awaitable[Fetched]], ttl: float, lease: float) -> Fetched:
    async with _held(cache, fetch_id, lease):
        try:
            fetched = await fetch(fetch_id)
        except Exception as error:
            with suppress(Failure):  # the database is away: those who wait see the lease end
                await cache.fail(fetch_id, classify(error))
            raise
        if not await cache.finish(fetch_id, fetched, ttl):
            log.warning("what was fetched is not kept: another worker took over", fetch_id=str(fetch_id))
        return fetched


@asynccontextmanager
async def _held(cache: SourceCache, fetch_id: UUID, lease: float) -> AsyncIterator[None]:
    """Keep the fetch ours while the work goes on; the work ends with the lease."""
    try:
        async with asyncio.timeout(lease) as limit:
            keeping = asyncio.create_task(_keep(cache, fetch_id, lease, limit))
            try:
                yield
            finally:
                keeping.cancel()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Failure(Code.RETRYABLE_ERROR, "the work was handed to another worker", charged=False) from error


async def _keep(cache: SourceCache, fetch_id: UUID, lease: float, limit: asyncio.Timeout) -> None:
    """Renew three times in a lease, and again soon where that fails, so that a short outage of the database doesn't cost the fetch."""
    now, pause = asyncio.get_running_loop().time, lease / 3
    while True:
        await asyncio.sleep(pause)
        asked, pause = now(), lease / 3
        try:
            with tracing.quiet():
                held = await cache.hold(fetch_id, lease)
        except Failure as failure:
            log.warning("lease not renewed", fetch_id=str(fetch_id), error=failure.message)
            pause = min(RENEW_AGAIN, pause)
            continue
        if limit.expired():
            return
        limit.reschedule(asked + lease if held else asked)


async def _let_go(cache: SourceCache, fetch_id: UUID) -> None:
    with suppress(Failure, TimeoutError):
        async with asyncio.timeout(RELEASE_WAIT):
            await cache.release(fetch_id)


class _Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Failure on its way to those who wait."""

    code: Code
    message: str
    retry_after: float | None = None
    outage: Dependency | None = None
    charged: bool = True
    hint: str | None = None

    @classmethod
    def of(cls, failure: Failure) -> "_Told":
        return cls(failure.code, failure.message, failure.retry_after, failure.outage, failure.charged, failure.own_hint)

    def failure(self) -> Failure:
        fields = msgspec.structs.asdict(self)
        return Failure(fields.pop("code"), fields.pop("message"), **fields)


def _section(row: Any) -> Section:
    return Section(row["section_start"], row["section_end"])


def _fetched(row: Any) -> Fetched:
    return Fetched(_section(row), row["object_key"], row["result"].encode())
