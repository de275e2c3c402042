"""Applies the migrations with dbmate, one runner at a time: dbmate itself takes no lock."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg

LOCK = 0x_C11B  # any number that no other user of the database takes as an advisory lock


class MigrationFailed(RuntimeError):
    """dbmate's own words."""


async def migrate(folder: Path, environ: Mapping[str, str]) -> None:
    """Bring the database of `environ["DATABASE_URL"]` up to date. Waits while another runner is at it."""
    connection = await asyncpg.connect(environ["DATABASE_URL"])
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await _run_dbmate(folder, environ)
    finally:
        await connection.close()  # which gives the lock back


async def _run_dbmate(folder: Path, environ: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "dbmate"),
        "--migrations-dir",
        str(folder),
        "--no-dump-schema",
        "migrate",  # `up` would also want to create the database, which a configured one may forbid
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environ,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise MigrationFailed(f"the migrations of {folder} failed:\n{output.decode(errors='replace')}")
