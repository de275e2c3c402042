"""The API under load, beside the same queries without it: `make bench-http`, or `python -m bench.http [--quick]`. Row 9 of the targets."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from bench.figures import Figure, table
from bench.http.rounds import measured
from bench.http.table_of_events import filled
from bench.machine import described
from bench.pipeline.durability import SETTINGS as DURABLE
from bench.pipeline.durability import sync_seconds
from bench.published import keep, publish
from libs.common.runtime.embedded import embedded_servers
from tools.migrations import migrate

BENCH = "http"
MIGRATIONS = Path(__file__).resolve().parents[2] / "libs" / "common" / "migrations"


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.http", description="Requests a second, p99 and CPU of status and create, beside peers.")
    parser.add_argument("--quick", action="store_true", help="fewer events and short rounds: a look, not a measurement")
    is_quick = parser.parse_args().quick
    with TemporaryDirectory() as folder:
        figures, machine = asyncio.run(_measured(Path(folder), is_quick=is_quick))
    print(f"\n{table(figures)}")
    keep(BENCH, figures, machine, is_quick=is_quick)
    if not is_quick:
        publish(BENCH, figures, machine)
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def _measured(folder: Path, *, is_quick: bool) -> tuple[list[Figure], dict[str, object]]:
    machine = await described()
    async with embedded_servers(folder, {}) as servers:
        environ = {**os.environ, **servers.variables}
        await migrate(MIGRATIONS, environ)
        machine["a sync of this disk"] = f"{1e6 * sync_seconds(folder):.0f} us"
        machine["postgres"] = await _durability(servers.variables["DATABASE_URL"])
        print(f"a sync of this disk takes {machine['a sync of this disk']}; Postgres: {machine['postgres']}", flush=True)
        jobs = await filled(servers.variables["DATABASE_URL"], 20_000 if is_quick else 1_000_000)
        return await measured(environ, jobs, rounds=2 if is_quick else 5, seconds=2.0 if is_quick else 5.0), machine


async def _durability(url: str) -> str:
    """What commits wait for. Raises SystemExit where it is not the disk."""
    connection = await asyncpg.connect(url)
    try:
        found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in DURABLE}
    finally:
        await connection.close()
    if found != DURABLE:
        raise SystemExit(f"commits are not durable here: {found}")
    return ", ".join(f"{name} {value}" for name, value in found.items())


if __name__ == "__main__":
    main()
