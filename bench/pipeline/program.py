"""A chain in a program of its own: an order is a line of JSON on its stdin, what came of it a line on its stdout."""

import asyncio
import signal
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
from bench.processes import tree_cpu
from libs.common.domain.events import SourceReady
from libs.common.runtime.embedded_process import tied_to_parent

STAGES = 4
PATIENCE = 300.0
LINE_BYTES = 1 << 24
WRITTEN = "SELECT job_id, count(*) AS events, count(DISTINCT type) AS types FROM {} WHERE job_id = ANY($1) GROUP BY job_id"
EVENT = SourceReady(source_key="uploads/film.mp4", size=10**9, container="mov", duration=3600.0, video=VIDEO)


class PeerFailed(RuntimeError):
    """It could not do its work; the message ends with what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A program, and where its traces are."""

    argv: tuple[str, ...]
    folder: Path
    """Where it runs."""
    runs_on: str
    """What its own CPU time is told as."""
    events: str
    """Its table: job_id, type, and others."""
    undone: str
    """A statement that counts what is left in its queues."""


class Program:
    """One load at a time."""

    def __init__(self, kind: Kind, process: asyncio.subprocess.Process, system: System, log: Path) -> None:
        self._kind, self._process, self._system, self._log = kind, process, system, log

    async def many(self, count: int, **how: object) -> Many:
        found, spent, faults = await self._run({"load": "many", "jobs": count, **how})
        return Many(count, found["seconds"], spent, faults)

    async def one_by_one(self, count: int, **how: object) -> Alone:
        found, spent, faults = await self._run({"load": "alone", "jobs": count, **how})
        return Alone(found["hops"], found["wholes"], spent, faults)

    async def _run(self, order: Mapping[str, object]) -> tuple[dict[str, Any], Spent, list[str]]:
        before = self._cpu()
        found = await self._asked({**order, "event": msgspec.to_builtins(EVENT)})
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
        servers = self._system.servers
        pids = {self._kind.runs_on: self._process.pid, "nats": servers.nats.pid, "postgres": servers.postgres.pid}
        return {name: tree_cpu(pid) for name, pid in pids.items()}

    async def _faults(self, jobs: Sequence[UUID]) -> list[str]:
        """Each job has one event of each stage, and nothing is left in the queues."""
        rows = await self._system.pool.fetch(WRITTEN.format(self._kind.events), jobs)
        right = sum(row["events"] == row["types"] == STAGES for row in rows)
        undone = await self._system.pool.fetchval(self._kind.undone) if self._kind.undone else 0
        return [
            *([f"{len(jobs) - right} jobs without exactly their events"] if right < len(jobs) else []),
            *([f"{undone} jobs of the queues not completed"] if undone else []),
        ]


@asynccontextmanager
async def running(kind: Kind, system: System, log: Path) -> AsyncIterator[Program]:
    """Beside our workers, on the servers of `system`."""
    variables = {name: system.servers.variables[name] for name in ("DATABASE_URL", "NATS_URL")}
    with log.open("wb") as file:
        spawn = partial(asyncio.create_subprocess_exec, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=file)
        environ = {**variables, "PATH": "/usr/bin:/bin"}
        process = await spawn(*kind.argv, cwd=kind.folder, env=environ, limit=LINE_BYTES, preexec_fn=tied_to_parent(signal.SIGKILL))
    program = Program(kind, process, system, log)
    try:
        await program.answer()
        yield program
    finally:
        process.kill()  # its servers are thrown away
        await process.wait()
