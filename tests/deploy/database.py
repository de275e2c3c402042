"""A database of the session's Postgres with Clipstream's roles, schema and grants, made as docs/security.md tells the operator to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tools.migrations import migrate

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "postgres"
MIGRATIONS = ROOT / "libs" / "common" / "migrations"
SERVICES = ("api", "resolver", "clipper", "asr", "janitor")
LOGINS = ("migrations", *SERVICES)
PASSWORD = "of-the-tests"


@dataclass(frozen=True)
class Database:
    """`superuser` reaches it as the operator does."""

    superuser: str

    def url(self, login: str) -> str:
        parts = urlsplit(self.superuser)
        return parts._replace(netloc=f"clipstream_{login}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()

    @asynccontextmanager
    async def connected(self, login: str | None = None) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.url(login) if login else self.superuser)
        try:
            yield connection
        finally:
            await connection.close()

    async def run(self, file: str, login: str | None = None) -> None:
        async with self.connected(login) as connection:
            await connection.execute((DEPLOY / file).read_text())


@asynccontextmanager
async def production_database(servers: Mapping[str, str], environ: Mapping[str, str], name: str) -> AsyncIterator[Database]:
    """Gone at the end; the roles, which all databases of a server share, stay."""
    database = Database(urlsplit(servers["DATABASE_URL"])._replace(path=f"/{name}").geturl())
    owner = await asyncpg.connect(servers["DATABASE_URL"])
    try:
        await owner.execute(f"CREATE DATABASE {name}")
        await database.run("roles.sql")
        for login in LOGINS:
            await owner.execute(f"ALTER ROLE clipstream_{login} PASSWORD '{PASSWORD}'")
        await migrate(MIGRATIONS, {**environ, "DATABASE_URL": database.url("migrations")})
        await database.run("grants.sql", "migrations")
        yield database
    finally:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()
