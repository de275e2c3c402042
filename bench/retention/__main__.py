"""Retention beside a plain DELETE of the same rows: `make bench-retention`, or `python -m bench.retention [--quick]`."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from bench.figures import Figure, at_least, at_most, milliseconds, table
from bench.machine import described
from bench.published import keep, publish
from bench.retention.cleaning import Run, by_delete, by_retention
from bench.retention.expired_jobs import copy_of, filled, stored
from libs.common.runtime.embedded import embedded_servers
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.janitor.settings import JanitorSettings
from tools.migrations import migrate

BENCH = "retention"
MIGRATIONS = Path(__file__).resolve().parents[2] / "libs" / "common" / "migrations"
NEEDED = 10_000 / 60
"""Jobs a second: as many as come in. Each is visited twice, to expire and as its last trace."""
STATEMENT_LIMIT = 0.5
"""Seconds that one statement may take, and rows may be locked."""
DRIFT_LIMIT = 1.5
GROWTH_LIMIT = 64 * 1024
"""KiB."""


def main() -> None:
    """Exits 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="bench.retention", description="Expired jobs a second, with their S3 objects, beside plain DELETEs."
    )
    parser.add_argument("--quick", action="store_true", help="5,000 jobs instead of 200,000: a look, not a measurement")
    is_quick = parser.parse_args().quick
    set_up_logs("bench", "ERROR")
    with TemporaryDirectory() as folder:
        figures, machine = asyncio.run(_measured(Path(folder), 5_000 if is_quick else 200_000))
    print(f"\n{table(figures)}")
    keep(BENCH, figures, machine, is_quick=is_quick)
    if not is_quick:
        publish(BENCH, figures, machine)
    sys.exit(any(figure.verdict == "missed" for figure in figures))


async def _measured(folder: Path, jobs: int) -> tuple[list[Figure], dict[str, object]]:
    machine = await described()
    async with embedded_servers(folder, {}) as servers:
        environ = {**os.environ, **servers.variables}
        settings, url = load(JanitorSettings, environ), servers.variables["DATABASE_URL"]
        await migrate(MIGRATIONS, environ)
        some = await filled(url, jobs)
        async with open_object_store(settings) as objects:
            await objects.ensure_buckets()
            listing = await _listed(objects, some)
            async with copy_of(url, "plain") as copy:
                plain = await by_delete(copy)
            _say("plain DELETE", plain)
            count = await stored(objects, some)
            async with copy_of(url, "unpaused") as copy:
                fast = await by_retention(copy, objects, settings, pause_ms=0)
            _say("ours without pauses", fast)
            await stored(objects, some)
            async with copy_of(url, "paused") as copy:
                slow = await by_retention(copy, objects, settings, pause_ms=None)
            _say("ours with pauses", slow)
    return _figures(Runs(fast, slow, plain, count, listing), settings), machine


@dataclass(frozen=True, slots=True)
class Runs:
    """Ours without pauses and with the defaults, the plain DELETEs; the objects in S3, and seconds to list those of a job."""

    fast: Run
    slow: Run
    plain: Run
    objects: int
    listing: float


async def _listed(objects: ObjectStore, jobs: Sequence[UUID]) -> float:
    """Seconds to ask S3 for all that one job has, as retention did before it went by names."""
    began = time.perf_counter()
    for job in jobs:
        for bucket, folder in ((objects.sources, "sources"), (objects.results, "results")):
            async for _ in bucket.list(f"{folder}/{job}/"):
                pass
    return (time.perf_counter() - began) / len(jobs)


def _figures(runs: Runs, settings: JanitorSettings) -> list[Figure]:
    fast, slow, plain = runs.fast, runs.slow, runs.plain
    pauses = f"{settings.cleanup_batch_size} at a time, {settings.cleanup_pause_ms} ms between"
    return [
        Figure(
            row="R1",
            what=f"{fast.jobs:,} jobs, {fast.rows:,} rows, no pauses",
            ours=_cost(fast),
            peer=_cost(plain),
            ratio=fast.wall / plain.wall,
            detail=f"the DELETE takes rows alone; ours takes {runs.objects:,} objects of S3 too and leaves a job.expired of each. "
            f"It waited {fast.postgres:.1f} s for Postgres, and for S3 nearly all the rest; the last traces take {fast.traces:.1f} s more",
        ),
        Figure(row="R2", what=f"the same, {pauses}", ours=_cost(slow), peer=_cost(plain), ratio=slow.wall / plain.wall),
        _rate(slow),
        _bounded("R4", "longest statement", max(fast.statements.seconds), max(plain.statements.seconds)),
        _bounded("R5", "longest that rows are locked", max(fast.statements.locks), max(plain.statements.locks)),
        _flat(fast),
        _grown(fast),
        Figure(
            row="R8",
            what="two listings of S3, which a job cost before",
            ours="none, but of a job with a broken attempt",
            peer=f"{milliseconds(runs.listing)} a job",
        ),
    ]


def _say(what: str, run: Run) -> None:
    """At once: a run that is cut short has not measured for nothing."""
    print(f"{what}: {_cost(run)}", flush=True)


def _cost(run: Run) -> str:
    return f"{run.wall:.1f} s, {run.cpu:.1f} s CPU, {run.rows / run.wall:.0f} rows/s"


def _rate(run: Run) -> Figure:
    rate = run.jobs / (run.wall + run.traces)
    ratio = rate / NEEDED
    target, verdict = at_least(ratio, 1)
    what = "jobs a second with the defaults, both visits, beside what 10,000 new ones a minute need"
    return Figure(row="R3", what=what, ours=f"{rate:.0f}", peer=f"{NEEDED:.0f}", ratio=ratio, target=target, verdict=verdict)


def _bounded(row: str, what: str, ours: float, plain: float) -> Figure:
    target, verdict = at_most(ours / STATEMENT_LIMIT, 1)
    told = f"{target} of {milliseconds(STATEMENT_LIMIT)}"
    return Figure(
        row=row,
        what=what,
        ours=milliseconds(ours),
        peer=milliseconds(plain),
        ratio=ours / STATEMENT_LIMIT,
        target=told,
        verdict=verdict,
    )


def _flat(run: Run) -> Figure:
    ratio = run.statements.drift
    target, verdict = at_most(ratio, DRIFT_LIMIT)
    what = "median statement of the last tenth over that of the first"
    return Figure(row="R6", what=what, ours=f"{ratio:.2f} x", ratio=ratio, target=target, verdict=verdict)


def _grown(run: Run) -> Figure:
    target, verdict = at_most(run.grown / GROWTH_LIMIT, 1)
    told = f"{target} of {GROWTH_LIMIT // 1024} MiB"
    return Figure(row="R7", what="memory that the process grew by", ours=f"{run.grown / 1024:.0f} MiB", target=told, verdict=verdict)


if __name__ == "__main__":
    main()
