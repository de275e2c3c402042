"""Postgres: pools, statements that are kept by name in .sql files, and asyncpg's ways of saying "away" as our Failure."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, TypeAlias

import asyncpg

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.metrics import measured

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


ACQUIRE_SECONDS = 5.0


class Statements:
    """The statements of one .sql file, each run by its name over a pool, counted and timed."""

    def __init__(self, pool: Pool, file: str, package: str = "libs.common.runtime") -> None:
        self._pool = pool
        self._texts = _sections(files(package).joinpath(file).read_text())

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    async def rows(self, name: str, *values: Any) -> list[Any]:
        async with self._connection(name) as connection:
            return await connection.fetch(self[name], *values)

    async def row(self, name: str, *values: Any) -> Any:
        """The first row, or None."""
        async with self._connection(name) as connection:
            return await connection.fetchrow(self[name], *values)

    async def value(self, name: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        async with self._connection(name) as connection:
            return await connection.fetchval(self[name], *values)

    @asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[Connection]:
        """Several statements as one, counted and timed under a name of their own."""
        async with self._connection(name) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _connection(self, name: str) -> AsyncIterator[Connection]:
        """Whoever waits for one longer than this is told so: else a database that hangs would hold every request for ever."""
        with as_outage(), measured("postgres", name):
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection


@asynccontextmanager
async def open_pool(url: str, *, connections: int, keeps_plans: bool = False) -> AsyncIterator[Pool]:
    """A pool of connections, each made when it is needed: the database may be away when a service starts.

    `keeps_plans`: for few statements that have one good plan each, by an index. Left alone, Postgres plans those that are given arrays
    anew at each call, which costs as much as running them.
    """
    init = _keep_plans if keeps_plans else None
    pool = await asyncpg.create_pool(url, min_size=0, max_size=connections, timeout=5, command_timeout=10, init=init, reset=_as_it_is)
    try:
        yield pool
    finally:
        await _closed(pool)


async def _keep_plans(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """By a statement: a pooler between us may refuse it among the parameters of a new connection.

    A plan that was made while the table was small, and a look at all of it cheapest, would be kept while it grows.
    """
    await connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")


async def _as_it_is(_: object) -> None:
    """Our statements leave nothing in their connection: asyncpg's own reset would cost each of them a second round trip."""


async def _closed(pool: Pool) -> None:
    try:
        async with asyncio.timeout(3):
            await pool.close()
    except Exception:  # noqa: BLE001  on the way out: a server that is gone can't be said goodbye to
        pool.terminate()


class as_outage:  # noqa: N801  reads as the phrase that it is
    """asyncpg's ways of saying that the server is away or going away, as our Failure. SQL mistakes pass as they are."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _AWAY):
            raise Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres") from error


_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidAuthorizationSpecificationError,  # the operator's to mend: a password is being changed, a replica promoted
    asyncpg.InvalidCatalogNameError,  # the same: a restore is under way
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
