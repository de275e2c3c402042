"""The whole system for a chaos run: real servers that can be killed, the five services as replicas, a provider, a site, and the jobs."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import nats
from nats.aio.client import Client

from libs.common.domain.events import decode
from libs.common.domain.job import Job, fold
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.embedded_home import PortClaims
from tests.chaos.checker import Row
from tests.chaos.orphans import adopting, children, orphans
from tests.chaos.provider import Provider, provider
from tests.chaos.replicas import Exit, Replica, leavings
from tests.chaos.submissions import Answered, Submissions, prepared
from tests.resolver.visiting import allowing
from tests.sites.site import open_site
from tools.local_stack import Plan, _bootstrap, service_environ
from tools.migrations import migrate
from tools.setup import ROOT

POLL = 0.1
ACK_WAIT = 2.0
MIGRATIONS = Path("libs", "common", "migrations")
REPLICAS = {"api": 1, "resolver": 2, "clipper": 2, "asr": 2, "janitor": 2}
SCALED = {
    "RATE_LIMIT_MAX": "0",
    "MAX_ACTIVE_JOBS_PER_CLIENT": "0",
    "QUEUE_ACK_WAIT_SEC": f"{ACK_WAIT:g}",
    "QUEUE_RETRY_BACKOFF_MS_BASE": "200",
    "QUEUE_RETRY_BACKOFF_MS_MAX": "1000",
    "RECONCILE_EVERY_SEC": "1",
    "RECONCILE_QUEUED_SEC": "2",
    "RECONCILE_MARGIN_SEC": "2",
    "ADVISORIES_EVERY_SEC": "1",
    "QUEUE_METRICS_EVERY_SEC": "2",
    "CLIP_MAX_RUNTIME_SEC": "60",
    "WORKER_SHUTDOWN_TIMEOUT_MS": "5000",
    "WORKER_MAX_CONCURRENCY": "4",
    "LOG_LEVEL": "INFO",
}
"""Fifteen times faster than the defaults, where time is what is waited for."""


@dataclass
class System:
    """What can be done to it, and what can be seen of it from outside."""

    home: Path
    environ: dict[str, str]
    servers: LocalServers
    replicas: list[Replica]
    provider: Provider
    http: aiohttp.ClientSession
    bystanders: frozenset[int]
    """Children of ours that were there before."""
    submissions: Submissions = field(init=False)

    @property
    def faults(self) -> Path:
        return self.home / "faults"

    def of(self, service: str) -> list[Replica]:
        return [replica for replica in self.replicas if replica.service == service]

    # Faults

    def arm(self, place: str, fault: str = "") -> Path:
        """Of fault_points.py: appears at once and whole."""
        draft, file = self.home / f"draft-{place}", self.faults / place
        draft.write_text(fault)
        draft.rename(file)
        return file

    def disarm(self) -> None:
        for file in self.faults.iterdir():
            file.unlink(missing_ok=True)

    async def crash(self, since: int, service: str, *, seconds: float = 60) -> Exit:
        """The first death of the service (any, if empty) by kill -9, after the first `since` exits of all."""
        async with asyncio.timeout(seconds):
            while not (killed := [e for e in self.exits[since:] if e.code == -signal.SIGKILL and e.replica.startswith(service)]):
                await asyncio.sleep(0.02)
        return killed[0]

    @property
    def exits(self) -> list[Exit]:
        """In the order in which they happened."""
        return sorted((end for replica in self.replicas for end in replica.exits), key=lambda end: end.at)

    @property
    def orphans(self) -> list[str]:
        """Processes that came to us because whoever started them died."""
        servers = {server.pid for server in self.servers.started.values() if server._process}
        return orphans(self.bystanders | servers | {replica.pid for replica in self.replicas if replica.process})

    @property
    def leavings(self) -> tuple[list[str], int]:
        return leavings(self.replicas)

    # Jobs

    async def submit(self, kind: str = "clip", **other: frozenset[str]) -> Answered:
        return await self.submissions.submit(self.http, kind, **other)

    async def accepted(self, kinds: Iterable[str]) -> list[UUID]:
        """Submitted one after the other; each must be taken on."""
        jobs = []
        for kind in kinds:
            answer = await self.submit(kind)
            assert answer.job_id, answer
            jobs.append(answer.job_id)
        return jobs

    async def rows(self, jobs: Collection[UUID] | None = None) -> list[Row]:
        """The events of some jobs or of all, by job and sequence."""
        found = await self.sql(
            "SELECT event_id, job_id, seq, envelope FROM job_events WHERE $1::uuid[] IS NULL OR job_id = ANY($1) ORDER BY job_id, seq",
            None if jobs is None else list(jobs),
        )
        return [Row(row["event_id"], row["job_id"], row["seq"], decode(row["envelope"])) for row in found]

    async def jobs(self, jobs: Collection[UUID] | None = None) -> dict[UUID, Job]:
        histories: dict[UUID, list[Any]] = {}
        for row in await self.rows(jobs):
            histories.setdefault(row.job_id, []).append(row.envelope)
        return {job_id: fold(history) for job_id, history in histories.items()}

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(self.environ["DATABASE_URL"], timeout=5)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def until_over(self, jobs: Collection[UUID] | None = None, *, seconds: float = 60) -> float:
        """When the last of them came to its end (wall clock); all jobs unless said. Late ones are left for the checker to name."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                open_ones = await self._open(jobs)
                while open_ones:
                    await asyncio.sleep(POLL)
                    open_ones = await self._open(open_ones) or await self._open(jobs)
        found = await self.jobs(jobs)
        return max((job.updated_at.timestamp() for job in found.values() if job.updated_at), default=time.time())

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[Client]:
        """A connection like that of the `nats` command: it does not wait for a server that is away. Raises nats.errors.Error, OSError."""
        client = await nats.connect(self.environ["NATS_URL"], allow_reconnect=False, connect_timeout=2, error_cb=_unsaid)
        try:
            yield client
        finally:
            await client.close()

    async def _open(self, jobs: Collection[UUID] | None) -> list[UUID]:
        return [job_id for job_id, job in (await self.jobs(jobs)).items() if not job.is_over]

    async def until_ready(self, replicas: Sequence[Replica] | None = None, *, seconds: float = 60) -> None:
        """Each says that all it needs is there."""
        async with asyncio.timeout(seconds):
            for replica in self.replicas if replicas is None else replicas:
                while not await self._is_ready(replica):
                    await asyncio.sleep(POLL)

    async def _is_ready(self, replica: Replica) -> bool:
        try:
            async with self.http.get(f"http://127.0.0.1:{replica.port}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


async def _unsaid(_: Exception) -> None:
    """Whoever asked gets the error too."""


@asynccontextmanager
async def running(home: Path, tree: Path = ROOT, numbers: Mapping[str, int] = REPLICAS, /, **overrides: str) -> AsyncIterator[System]:
    """Of the code in `tree`: ready, its sources uploaded. On leaving everything ends."""
    bystanders = frozenset(children(os.getpid()))
    async with AsyncExitStack() as stack:
        stack.enter_context(adopting())
        servers = await stack.enter_async_context(embedded_servers(home / "servers", {}))
        claims = PortClaims()
        stack.callback(claims.close)
        up = await stack.enter_async_context(provider(claims.claim_any()))
        films = home / "films"
        films.mkdir()
        site = await stack.enter_async_context(open_site(films))
        environ = _environ(home, servers.variables, up.url, site.port) | overrides
        plan = Plan(home, environ, migrations=tree / MIGRATIONS, root=tree)
        await migrate(plan.migrations, environ)
        await _bootstrap(plan, environ)
        copied(tree, home / "code")
        replicas = _replicas(home, environ, claims, numbers)
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{replicas[0].port}"))
        system = System(home, environ, servers, replicas, up, http, bystanders)
        system.faults.mkdir()
        await stack.enter_async_context(_kept_running(replicas))
        await system.until_ready()
        system.submissions = Submissions(await prepared(http, films, site.file))
        yield system


def copied(tree: Path, folder: Path) -> None:
    """One code from the first process to the last, whatever is edited meanwhile."""
    for part in ("libs", "services"):
        shutil.copytree(tree / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))


def _environ(home: Path, variables: dict[str, str], asr_url: str, site_port: int) -> dict[str, str]:
    asr = {"ASR_PROVIDER": "groq", "GROQ_API_KEY": "chaos", "ASR_BASE_URL": asr_url, "ASR_REQUEST_TIMEOUT_MS": "5000"}
    own = {"FAULT_POINTS_DIR": str(home / "faults"), "S3_PUBLIC_ENDPOINT_URL": variables["S3_ENDPOINT_URL"]}
    return service_environ(Plan(home, {**os.environ, **allowing(site_port), **SCALED, **asr, **own}), variables)


def _replicas(home: Path, environ: dict[str, str], claims: PortClaims, numbers: Mapping[str, int]) -> list[Replica]:
    made = []
    for service, number in numbers.items():
        for n in range(1, number + 1):
            port = claims.claim_any()
            own = {"PORT" if service == "api" else "HEALTH_PORT": str(port)}
            made.append(Replica(f"{service}-{n}", service, environ | own, home, port))
    return made


@asynccontextmanager
async def _kept_running(replicas: list[Replica]) -> AsyncIterator[None]:
    running = [asyncio.create_task(replica.keep_running()) for replica in replicas]
    try:
        yield
    finally:
        await asyncio.gather(*(replica.end() for replica in replicas))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
