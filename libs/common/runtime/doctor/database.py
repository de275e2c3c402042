"""Postgres: reachable, new enough, migrated, with the rights of the service's role and no others."""

import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from libs.common.domain.failures import Failure
from libs.common.runtime.doctor.clocks import clock_seen
from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, failed, ok, skipped, warning
from libs.common.runtime.doctor.grants import Right, lacking, needless, written_rights
from libs.common.runtime.postgres import Pool, Statements

LEAST_VERSION = 14
"""Snapshots of 64-bit transaction ids came with 13; 14 is the oldest that still had bug fixes this year."""
ENOUGH_CONNECTIONS = 20
"""Two processes' pools (service.POOL each)."""
MIGRATIONS = Path(__file__).parents[2] / "migrations"
MIGRATE = "Run the migrations with the role that owns the schema: docs/security.md."
GRANT = "Run deploy/postgres/grants.sql as clipstream_migrations: docs/security.md."
REFUSALS = {
    "28P01": ("the password is wrong", "Correct the password in DATABASE_URL."),
    "28000": ("this user may not log in from here", "Correct the user in DATABASE_URL, or the server's pg_hba.conf."),
    "3D000": ("there is no such database", "Correct the database's name in DATABASE_URL, or create it."),
    "53300": ("all its connections are taken", "Raise max_connections, or run fewer processes."),
    "57P03": ("it is starting up", "Try again in a moment."),
}
"""By SQLSTATE (PostgreSQL's appendix A)."""


def database_checks(pool: Pool, services: Collection[str], *, in_production: bool) -> list[Check]:
    """`services`: whose rights are needed; one where this is that service's own role."""
    statements = Statements(pool, "doctor.sql", "libs.common.runtime.doctor")
    check = partial(Check, topic="database", needs="reachable")
    return [
        Check(topic="database", name="reachable", look=partial(_reachable, statements)),
        check(name="version", look=partial(_version, statements)),
        check(name="migrations", look=partial(_migrations, statements)),
        check(name="tables", look=partial(_tables, statements, services)),
        check(name="rights", look=partial(_rights, statements, services, in_production), needs="tables"),
        check(name="idle transactions", look=partial(_idle, statements)),
        check(name="connections", look=partial(_connections, statements)),
        check(name="clock", look=partial(_clock, statements)),
    ]


async def _reachable(statements: Statements) -> Seen:
    try:
        about = await statements.row("about")
    except Failure as failure:
        return refusal(failure)
    if about["is_replica"]:
        return failed(f"as {about['role']}, but this is a replica, which takes no writes", "Name the primary in DATABASE_URL.")
    return ok(f"as {about['role']}")


def refusal(failure: Failure) -> Seen:
    text, advice = REFUSALS.get(
        getattr(failure.__cause__, "sqlstate", ""), ("it can't be reached", "Check that it runs, and the host and port in DATABASE_URL.")
    )
    return failed(text, advice)


async def _version(statements: Statements) -> Seen:
    about = await statements.row("about")
    return version_seen(about["number"], about["version"])


def version_seen(number: int, shown: str) -> Seen:
    """`number` as server_version_num: 140005 is 14.5."""
    if number // 10_000 >= LEAST_VERSION:
        return ok(f"PostgreSQL {shown}")
    return failed(f"PostgreSQL {shown} is too old", f"Use PostgreSQL {LEAST_VERSION} or later.")


async def _migrations(statements: Statements) -> Seen:
    ours = {path.name.partition("_")[0] for path in MIGRATIONS.glob("*.sql")}
    about = await statements.row("migrations_readable")
    if about["there"] and not about["readable"]:
        return skipped("this role may not read which are applied, as it should be: “tables” tells whether the schema is there")
    return migrations_seen(ours, {row["version"] for row in await statements.rows("migrations")} if about["there"] else set())


def migrations_seen(ours: set[str], applied: set[str]) -> Seen:
    if missing := sorted(ours - applied):
        return failed(f"{len(missing)} of {len(ours)} are not applied, from {missing[0]} on", MIGRATE)
    if unknown := sorted(applied - ours):
        return warning(
            f"the database is ahead of this version: {unknown[0]} is unknown here", "Run the version that the database was migrated for."
        )
    return ok(f"all {len(ours)} applied")


async def _tables(statements: Statements, services: Collection[str]) -> Seen:
    rights = written_rights(services)
    if rights is None:
        return skipped("deploy/postgres/grants.sql is not here to tell which are needed")
    wanted, there = {right.table for right in rights}, {row["name"] for row in await statements.rows("tables")}
    missing = sorted(wanted - there)
    return failed(f"missing: {', '.join(missing)}", MIGRATE) if missing else ok(f"all {len(wanted)} that are needed")


async def _rights(statements: Statements, services: Collection[str], in_production: bool) -> Sequence[Seen] | Seen:  # noqa: FBT001  bound once, by name above
    wanted = written_rights(services) or set()
    return rights_seen(wanted, {_right(row) for row in await statements.rows("held")}, in_production=in_production)


def _right(row: Any) -> Right:
    return Right(row["name"], row["verb"], row["in_part"])


def rights_seen(wanted: set[Right], held: set[Right], *, in_production: bool) -> Seen:
    if missing := lacking(wanted, held):
        return failed(f"this role may not {_shown(missing)}", GRANT)
    if in_production and (more := needless(wanted, held)):
        return warning(f"this role may also {_shown(more)}", f"Give each service a role of its own. {GRANT}")
    return ok("all that are needed" + ("" if in_production else "; more than that is no matter locally"))


def _shown(rights: Sequence[Right]) -> str:
    some = ", ".join(f"{right.verb} {right.table}" for right in rights[:3])
    return some + (f" and {len(rights) - 3} more" if len(rights) > 3 else "")  # noqa: PLR2004  those that are named


async def _idle(statements: Statements) -> Seen:
    idle = (await statements.row("about"))["idle_ms"]
    if idle:
        return ok(f"ended after {idle / 1000:g} s")
    return warning(
        "a transaction that is left open is never ended, and holds back what people see",
        "As its owner: ALTER DATABASE … SET idle_in_transaction_session_timeout = '30s'.",
    )


async def _connections(statements: Statements) -> Seen:
    about = await statements.row("about")
    return connections_seen(about["used"], about["most"])


def connections_seen(used: int, most: int) -> Seen:
    text = f"{used} of {most} are taken"
    return ok(text) if most - used >= ENOUGH_CONNECTIONS else warning(text, "Raise max_connections: a process takes up to 10.")


async def _clock(statements: Statements) -> Seen:
    before = time.time()
    now = (await statements.row("about"))["now"]
    return clock_seen(now, before, time.time())
