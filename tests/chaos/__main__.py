"""`make chaos`: strikes the whole system with one fault after the other, and prints what it cost.

Exit code 1 when anything was not exact; the logs and histories of what was not are kept in the folder that is printed.
"""

import argparse
import asyncio
import json
import logging
import random
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from libs.common.domain.events import encode
from tests.chaos import beside, kills, matrix, outages, poison, soak, upgrade, versions
from tests.chaos.checker import Finding, judged
from tests.chaos.evidence import gathered
from tests.chaos.system import REPLICAS, System, running
from tests.chaos.table import Case, TableRow, rows_of, table
from tools.setup import ROOT

RESULTS = ROOT / "bench" / "results" / "chaos.json"


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for on the command line."""

    seed: int
    quick: bool
    only: frozenset[str]
    outage: float
    soak: float
    folder: Path
    earlier: str | None = None
    """The commit to upgrade from."""

    @property
    def chance(self) -> random.Random:
        return random.Random(self.seed)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  what a command is for


Section = Callable[[System, Run], Awaitable[list[Case]]]


async def _matrix(system: System, run: Run) -> list[Case]:
    found = matrix.points()
    some = run.chance.sample(found, 10) if run.quick else found
    cases = [await _said(matrix.crashed(system, point)) for point in some]
    return matrix.by_service(cases)


async def _kills(system: System, run: Run) -> list[Case]:
    few = run.quick
    return [
        await _said(kills.rolling_restart(system, times=1 if few else 5)),
        await _said(kills.server_killed(system, "nats", times=3 if few else 20)),
        await _said(kills.server_killed(system, "postgres", times=1 if few else 5)),
        await _said(kills.server_killed(system, "s3", times=1 if few else 5)),
        await _said(kills.frozen(system, run.chance, times=2 if few else 8)),
        await _said(kills.consumers_deleted(system, times=4 if few else 12)),
    ]


async def _outages(system: System, run: Run) -> list[Case]:
    return [await _said(outages.outage(system, name, run.outage)) for name in outages.NAMES]


async def _poison(system: System, run: Run) -> list[Case]:
    cases = [await _said(poison.handling(system)), await _said(poison.never_counted(system))]
    return cases if run.quick else [*cases, *[await _said(poison.rescued(system, step)) for step in poison.RESCUE]]


async def _soak(system: System, run: Run) -> list[Case]:
    return [await soak.soak(system, run.chance, run.soak)]


async def _upgrade(system: System, run: Run) -> list[Case]:
    return await upgrade.upgraded(system, run.chance, run.folder / "earlier", 1.5 if run.quick else 3.0)


SECTIONS: dict[str, tuple[Section, dict[str, str]]] = {
    "matrix": (_matrix, {"RETENTION_EVERY_SEC": "1"}),
    "kills": (_kills, {}),
    "outages": (_outages, {}),
    "poison": (_poison, {"QUEUE_MAX_DELIVER": "5"}),
    "soak": (_soak, {}),
    "upgrade": (_upgrade, {"RETENTION_EVERY_SEC": "1"}),
}
"""On a system of its own each, with these settings."""
NAMES = ("beside", *SECTIONS)


async def _beside(run: Run) -> list[TableRow]:
    """Without a system."""
    rows = []
    for name, strike in beside.strikes(run.seed, beside.QUICK if run.quick else beside.FULL).items():
        try:
            row = await strike()
        except Exception as error:  # noqa: BLE001  the others are struck all the same
            row = _broke(name, error, run.folder)
        say(f"  {name}: {row.times} times, {row.jobs} jobs{''.join(f'; {text}' for text in row.broken)}")
        rows.append(row)
    return rows


def _broke(name: str, error: Exception, folder: Path) -> TableRow:
    """Nothing can be said of its jobs."""
    with (folder / "broke.txt").open("a") as file:
        file.write("".join([f"{name}\n", *traceback.format_exception(error)]))
    return TableRow(name, 0, 0, (0, 0, 0, 0), broken=[f"broke: {str(error)[:500] or repr(error)}"])


async def _said(case: Awaitable[Case]) -> Case:
    """With a line as it goes along."""
    done = await case
    recovery = f", recovered in {max(done.recoveries):.1f} s" if done.recoveries else ""
    say(f"  {done.fault}: {done.times} times, {len(done.jobs)} jobs{recovery}{''.join(f'; {text}' for text in done.broken)}")
    return done


async def section(name: str, run: Run) -> list[TableRow]:
    """On a system of its own. Its folder stays when it was not exact, or broke."""
    home, began = run.folder / name, time.monotonic()
    home.mkdir()
    say(f"{name} ...")
    try:
        rows = await _struck(name, run, home)
    except Exception as error:  # noqa: BLE001  the other sections are run all the same
        rows = [_broke(name, error, home)]
    say(f"{name}: {time.monotonic() - began:.0f} s")
    if all(row.is_exact for row in rows):
        shutil.rmtree(home, ignore_errors=True)
    return rows


async def _struck(name: str, run: Run, home: Path) -> list[TableRow]:
    strike, overrides = SECTIONS[name]
    async with running(home, *_of_version(name, run), **overrides) as system:
        cases = await strike(system, run)
        await system.until_over()
        finding = judged(await gathered(system, looked_at=12 if run.quick else 40, seed=run.seed))
        await _keep_histories(system, finding, home)
        calls = system.provider.calls
        again = sum(calls.values()) - len(calls)
        left = system.leavings[1]
        say(f"  scratch folders left by kill -9: {left}; sounds transcribed: {len(calls)}, requests beyond that: {again}")
        return rows_of(cases, finding, f"{name}: the rest")


def _of_version(name: str, run: Run) -> tuple[Path, dict[str, int]]:
    """The code and the replicas to begin with."""
    if name != "upgrade":
        return ROOT, REPLICAS
    earlier = run.folder / "earlier"
    say(f"  from {versions.taken_out(run.earlier or versions.before_the_last_migration(), earlier)}")
    return earlier, upgrade.REPLICAS


async def _keep_histories(system: System, finding: Finding, home: Path) -> None:
    """What was found, and the events of every job that it was found of."""
    said = [f"{problem.kind} {problem.job_id}: {problem.text}" for problem in finding.problems]
    (home / "problems.txt").write_text("\n".join(said))
    histories = home / "histories"
    histories.mkdir()
    for row in await system.rows({problem.job_id for problem in finding.problems if problem.job_id} | set(finding.charged)):
        with (histories / f"{row.job_id}.jsonl").open("ab") as file:
            file.write(encode(row.envelope) + b"\n")
    for line in said[:20]:
        say(f"  {line}")


async def chaos(run: Run) -> list[TableRow]:
    rows = []
    for name in (name for name in NAMES if not run.only or name in run.only):
        rows += await section(name, run) if name in SECTIONS else await _beside(run)
    return rows


def _asked(arguments: list[str]) -> Run:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of everything that is drawn")
    parser.add_argument("--quick", action="store_true", help="a few minutes: some of everything")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="a section; may be repeated")
    parser.add_argument("--from", dest="earlier", help="the commit to upgrade from (that before the last migration)")
    parser.add_argument("--outage", type=float, help="seconds that a server is away (60; quick: 6)")
    parser.add_argument("--soak", type=float, help="seconds of the soak (900; quick: 30)")
    asked = parser.parse_args(arguments)
    outage = asked.outage or (6 if asked.quick else 60)
    lasting = asked.soak or (30 if asked.quick else 900)
    return Run(
        asked.seed, asked.quick, frozenset(asked.only), outage, lasting, Path(tempfile.mkdtemp(prefix="clipstream-chaos-")), asked.earlier
    )


def main() -> None:
    run = _asked(sys.argv[1:])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()  # the services have logs of their own
    say(f"seed {run.seed}")
    rows = asyncio.run(chaos(run))
    exact = all(row.is_exact for row in rows)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(
        json.dumps({"seed": run.seed, "quick": run.quick, "exact": exact, "rows": [row.as_json() for row in rows]}, indent=2)
    )
    say(f"\n{table(rows)}\n\nseed {run.seed}; all of it in {RESULTS}")
    if exact:
        shutil.rmtree(run.folder, ignore_errors=True)
        return
    sys.exit(f"not exact: logs and histories are in {run.folder}")


if __name__ == "__main__":
    main()
