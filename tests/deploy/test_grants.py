"""Every service's rights on every table: held against a matrix by enumeration, and by trying."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.deploy.database import ROOT, SERVICES, Database, production_database

RIGHTS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "T": "TRUNCATE", "R": "REFERENCES", "G": "TRIGGER"}
EXPECTED: dict[str, dict[str, str]] = {
    "job_events": {"api": "SI", "resolver": "SI", "clipper": "SI", "asr": "SI", "janitor": "SID"},
    "job_index": {"api": "SIU", "resolver": "SIu", "clipper": "SIu", "asr": "SIu", "janitor": "SIUD"},
    "source_fetches": {"resolver": "SIUD", "asr": "SIUD", "janitor": "SD"},
    "job_list": {"api": "SIUD", "janitor": "S"},
    "read_model_place": {"api": "SIUD"},
    "idempotency_keys": {"api": "SIUD"},
    "api_keys": {"api": "SIU"},
    "rate_windows": {"api": "SIUD"},
    "webhook_secrets": {"api": "SIUD"},
    "webhook_deliveries": {"api": "SIUD"},
    "uploads": {"api": "SIUD", "janitor": "SD"},
    "leases": {"api": "SIUD", "janitor": "SIUD"},
    "schema_migrations": {},
}
"""By table, then by service; a small letter: of some columns only. A new table needs a line here,
and in deploy/postgres/grants.sql if a service uses it."""

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.fixture(scope="module")
async def database(servers: dict[str, str]) -> AsyncIterator[Database]:
    async with production_database(servers, os.environ, "grants") as database:
        yield database


async def tables_of(database: Database) -> set[str]:
    async with database.connected() as connection:
        return {row["table_name"] for row in await connection.fetch(TABLES)}


async def rights_of(database: Database) -> dict[str, dict[str, str]]:
    """As EXPECTED, from the server; a right on a single column counts too."""
    async with database.connected() as connection:
        found: dict[str, dict[str, str]] = {}
        for table in await tables_of(database):
            held = {service: await _held(connection, service, table) for service in SERVICES}
            found[table] = {service: letters for service, letters in held.items() if letters}
    return found


async def _held(connection: asyncpg.Connection, service: str, table: str) -> str:
    letters = ""
    for letter, right in RIGHTS.items():
        role, name = f"clipstream_{service}", f"public.{table}"
        if await connection.fetchval(f"SELECT has_table_privilege($1, $2, '{right}')", role, name):
            letters += letter
        elif letter in "SIUR" and await connection.fetchval(f"SELECT has_any_column_privilege($1, $2, '{right}')", role, name):
            letters += letter.lower()
    return letters


async def test_every_service_has_the_rights_of_the_matrix_and_no_others(database: Database):
    assert await rights_of(database) == EXPECTED


async def test_both_files_may_run_again_at_any_time(database: Database):
    await database.run("roles.sql")
    assert await rights_of(database) == EXPECTED
    await database.run("grants.sql", "migrations")
    assert await rights_of(database) == EXPECTED


async def test_a_new_table_is_closed_to_all_until_it_has_its_lines(database: Database):
    async with database.connected("migrations") as owner:
        await owner.execute("CREATE TABLE newly_made (id uuid)")
        try:
            await database.run("grants.sql", "migrations")
            assert await rights_of(database) == EXPECTED | {"newly_made": {}} != EXPECTED
        finally:
            await owner.execute("DROP TABLE newly_made")


TRIES = {
    "S": "SELECT * FROM {table} LIMIT 0",
    "I": "INSERT INTO {table} SELECT (json_populate_record(NULL::{table}, '{{}}')).* LIMIT 0",
    "U": "UPDATE {table} SET {column} = DEFAULT WHERE false",
    "D": "DELETE FROM {table} WHERE false",
    "T": "TRUNCATE {table}",
}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_server_refuses_each_statement_that_is_not_in_the_matrix(database: Database, service: str):
    columns = "SELECT table_name, min(column_name) FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1"
    async with database.connected() as superuser, database.connected(service) as connection:
        for table, column in await superuser.fetch(columns):
            for letter, text in TRIES.items():
                allowed = letter in EXPECTED[table].get(service, "")
                assert await is_refused(connection, text.format(table=table, column=column)) is not allowed, (service, letter, table)


@pytest.mark.parametrize("service", ["resolver", "clipper", "asr"])
async def test_a_stage_opens_a_job_again_and_does_not_put_off_its_end(database: Database, service: str):
    async with database.connected(service) as connection:
        assert not await is_refused(connection, "UPDATE job_index SET open = true WHERE false")
        assert await is_refused(connection, "UPDATE job_index SET expires_at = now() WHERE false")


async def is_refused(connection: asyncpg.Connection, statement: str) -> bool:
    rolled_back = connection.transaction()
    await rolled_back.start()
    try:
        await connection.execute(statement)
    except REFUSED:
        return True
    except (asyncpg.GeneratedAlwaysError, asyncpg.FeatureNotSupportedError):
        return False  # an identity column: the right was looked at before
    finally:
        await rolled_back.rollback()
    return False


STATEMENTS = [(service, file) for service in SERVICES for file in sorted((ROOT / "services" / service).rglob("*.sql"))]


@pytest.mark.parametrize(("service", "file"), STATEMENTS, ids=lambda value: getattr(value, "name", value))
async def test_a_service_may_run_each_of_its_own_statements(database: Database, service: str, file: Path):
    """To explain a statement takes the rights that running it does."""
    async with database.connected(service) as connection:
        for statement in re.split(r"^-- name: \w+$", file.read_text(), flags=re.MULTILINE):
            if re.sub(r"--.*", "", statement).strip():
                await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id integer)",
        "CREATE TEMPORARY TABLE mine (id integer)",
        "CREATE SCHEMA mine",
        "SET ROLE clipstream_migrations",
        "CREATE ROLE another",
        "ALTER TABLE job_events ADD COLUMN mine integer",
        "DROP TABLE job_events",
        "ALTER ROLE clipstream_migrations PASSWORD 'mine'",
        "COPY job_events TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        "ALTER SYSTEM SET fsync = off",
    ],
)
@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_goes_beyond_its_tables(database: Database, service: str, statement: str):
    async with database.connected(service) as connection:
        with pytest.raises(REFUSED):
            await connection.execute(statement)


async def test_nobody_else_gets_into_the_database(database: Database):
    async with database.connected() as superuser:
        await superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 'of-the-tests'")
    try:
        with pytest.raises(REFUSED):
            await asyncpg.connect(database.url("api").replace("clipstream_api", "stranger"))
    finally:
        async with database.connected() as superuser:
            await superuser.execute("DROP ROLE stranger")
