"""A database of a test's own, on the session's server: what it counts, truncates or sends is nobody else's."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from tests.conftest import MIGRATIONS
from tools.migrations import migrate


@asynccontextmanager
async def own_database(url: str) -> AsyncIterator[str]:
    """Its URL; `url` is any database's of the same server."""
    name = f"own_{uuid4().hex[:12]}"
    await _done(url, f"CREATE DATABASE {name}")
    mine = urlsplit(url)._replace(path=f"/{name}").geturl()
    await migrate(MIGRATIONS, {**os.environ, "DATABASE_URL": mine})
    try:
        yield mine
    finally:
        await _done(url, f"DROP DATABASE {name} WITH (FORCE)")


async def _done(url: str, statement: str) -> None:
    """On a connection of its own: between two of them other tests kill the server."""
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
