"""The system under measurement: the real servers, our workers in processes of their own, and the API's way to open jobs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope
from libs.common.domain.job import Job
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.embedded_home import PortClaims
from libs.common.runtime.embedded_process import tied_to_parent
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.postgres import Connection, Pool, open_pool
from libs.common.runtime.settings import CommonSettings, load
from libs.common.runtime.streams import ensure
from services.api.job_opening import JobOpening
from services.api.read_model import ReadModel
from tools.migrations import migrate

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "libs" / "common" / "migrations"
AT_ONCE = 32
"""Jobs that one stage of one worker has in hand."""
PATIENCE = 30.0
OPENED_TOGETHER = 500
KEPT = timedelta(hours=72)


class WorkerFailed(RuntimeError):
    """Our worker did not come up; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Worker:
    pid: int
    address: str
    """Of its internal port, which tells its metrics."""
    starts: Path
    """A line of each job whose first handler began there: its id, and seconds of the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    servers: LocalServers
    monitor: str
    """The message server's monitoring address."""
    workers: list[Worker]
    pool: Pool
    bus: JetStreamBus
    opening: JobOpening
    http: aiohttp.ClientSession

    async def opened(self, count: int) -> list[Envelope]:
        """Jobs written as the API writes them, not published yet."""
        requests = [_request() for _ in range(count)]
        for begin in range(0, count, OPENED_TOGETHER):
            await self.opening.open(requests[begin : begin + OPENED_TOGETHER], 0)
        return requests

    def began(self) -> dict[UUID, float]:
        """When each job's first handler began, by the clock of the epoch."""
        lines = [line.split() for worker in self.workers for line in worker.starts.read_text().splitlines()]
        return {UUID(job_id): float(at) for job_id, at in lines}


def _request() -> Envelope:
    job_id, now = uuid4(), datetime.now(UTC)
    event = ClipsRequested(
        source_type="upload",
        upload_key=f"uploads/{job_id}/film.mp4",
        start=10.0,
        end=40.0,
        tenant="bench",
        client="bench",
        with_subtitles=True,
        burn_subtitles=True,
        expires_at=now + KEPT,
    )
    return Envelope(id=request_id(job_id), job_id=job_id, at=now, correlation_id=str(job_id), event=event)


@asynccontextmanager
async def open_servers(home: Path) -> AsyncIterator[tuple[LocalServers, str]]:
    """NATS, Postgres with our tables, and S3; with the address at which NATS tells its counts."""
    claims = PortClaims()
    async with embedded_servers(home, {}) as servers:
        port = claims.claim_any()
        nats = servers.nats
        await nats.stop()
        nats.program = replace(nats.program, argv=(*nats.program.argv, "--http_port", str(port)))
        await nats.start()
        await migrate(MIGRATIONS, {**os.environ, **servers.variables})
        async with open_object_store(load(CommonSettings, servers.variables)) as objects:
            await objects.ensure_buckets()
        yield servers, f"http://127.0.0.1:{port}"
    claims.close()


@asynccontextmanager
async def open_system(servers: LocalServers, monitor: str, folder: Path, *, workers: int, profile: Path | None) -> AsyncIterator[System]:
    """`profile`: the file that gets the first worker's cProfile when it ends."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        http = await enter(aiohttp.ClientSession())
        variables = {**os.environ, **servers.variables, "SCRATCH_DIR": str(folder / "scratch"), "WORKER_MAX_CONCURRENCY": str(AT_ONCE)}
        pool = await enter(open_pool(servers.variables["DATABASE_URL"], connections=4))
        bus = await enter(open_bus(servers.variables["NATS_URL"], name="bench"))
        await _until_connected(bus)
        await ensure(bus.js, replicas=1)
        running = [await enter(_worker(folder / f"worker{n}", variables, http, None if n else profile)) for n in range(workers)]
        store = PostgresEventStore(pool)
        opening = JobOpening(ReadModel(pool, store, _nobody), store)
        yield System(servers=servers, monitor=monitor, workers=running, pool=pool, bus=bus, opening=opening, http=http)


async def _until_connected(bus: JetStreamBus) -> None:
    async with asyncio.timeout(PATIENCE):
        while not bus.client.is_connected:
            await asyncio.sleep(0.02)


async def _nobody(_: Connection, __: Job) -> None:
    """Who is told of a job's end."""


@asynccontextmanager
async def _worker(folder: Path, variables: Mapping[str, str], http: aiohttp.ClientSession, profile: Path | None) -> AsyncIterator[Worker]:
    folder.mkdir()
    claims = PortClaims()
    port, starts, log = claims.claim_any(), folder / "starts", folder / "log"
    starts.touch()
    profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
    environ = {**variables, "HEALTH_PORT": str(port), "STARTS_FILE": str(starts)}
    dies = tied_to_parent(signal.SIGTERM)
    with log.open("wb") as file:
        argv = (sys.executable, *profiler, "-m", "bench.pipeline.worker")
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=environ, stdout=file, stderr=file, preexec_fn=dies)
    try:
        await _until_ready(http, f"http://127.0.0.1:{port}", process, log)
        yield Worker(process.pid, f"http://127.0.0.1:{port}", starts)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        claims.close()


async def _until_ready(http: aiohttp.ClientSession, address: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Until all that it depends on answers it."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _is_ready(http, address):
                if process.returncode is not None:
                    break
                await asyncio.sleep(0.05)
            else:
                return
    except TimeoutError:
        process.kill()
    raise WorkerFailed(log.read_text(errors="replace")[-2000:])


async def _is_ready(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(f"{address}/readyz") as answer:
            said = await answer.json()
    except aiohttp.ClientError:
        return False
    return bool(said["status"] == "ready")
