"""What a roll needs besides the services: clients that find the APIs which are ready, roles as in production, jobs of every kind."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from libs.common.domain.causes import cause_for
from libs.common.runtime.event_store import open_event_store
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.settings import CommonSettings, load
from services.janitor.lost_files import envelopes, remedy
from services.janitor.overdue import awaited_stage
from tests.chaos.checker import Expected
from tests.chaos.matrix import expect, put_back, put_back_raw
from tests.chaos.replicas import Replica
from tests.chaos.soak import Soak
from tests.chaos.system import System
from tests.deploy.database import LOGINS, PASSWORD, Database
from tests.runtime.own_nats import connected_bus

EDITS = 0.1
"""Part of the jobs whose transcript a client puts back."""
CUES = "WEBVTT\n\n00:00.000 --> 00:01.000\nput back\n"


class Endpoints(AbstractResolver):
    """What a Service of Kubernetes is to its clients: a name for those APIs that are ready, in turn."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._ready = list(replicas)
        self._turns = itertools.count()

    @contextmanager
    def without(self, replica: Replica) -> Iterator[None]:
        """Before it is told to end, and until it is ready again."""
        here = [one for one in self._ready if one is not replica]
        self._ready, before = here, self._ready
        try:
            yield
        finally:
            self._ready = before

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        turn = next(self._turns) % len(self._ready)
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=one.port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for one in (*self._ready[turn:], *self._ready[:turn])
        ]

    async def close(self) -> None: ...


@asynccontextmanager
async def balanced(system: System) -> AsyncIterator[Endpoints]:
    """Inside, each request of the system's client goes to the next API."""
    endpoints, before = Endpoints(system.of("api")), system.http
    connector = aiohttp.TCPConnector(resolver=endpoints, family=socket.AF_INET, use_dns_cache=False, force_close=True)
    async with aiohttp.ClientSession("http://clipstream.test", connector=connector) as session:
        system.http = session
        try:
            yield endpoints
        finally:
            system.http = before


@dataclass(frozen=True)
class Rights:
    """Postgres as docs/security.md has it: a role for each service, another for the schema."""

    database: Database

    @classmethod
    async def given(cls, system: System, tree: Path) -> "Rights":
        made = cls(Database(system.environ["DATABASE_URL"]))
        await made.run(tree, "roles.sql")
        async with made.database.connected() as connection:
            for login in LOGINS:
                await connection.execute(f"ALTER ROLE clipstream_{login} PASSWORD '{PASSWORD}'")
        await made.run(tree, "grants.sql", "migrations")
        for replica in system.replicas:
            replica.environ = {**replica.environ, "DATABASE_URL": made.database.url(replica.service)}
        return made

    async def run(self, tree: Path, file: str, login: str | None = None) -> None:
        """As that version has it."""
        async with self.database.connected(login) as connection:
            await connection.execute((tree / "deploy" / "postgres" / file).read_text())


@dataclass
class EveryKind(Soak):
    """The soak's jobs without its faults, and edits."""

    async def one_job(self) -> None:
        if self.chance.random() < EDITS:
            await self.edited()
        else:
            await super().one_job()

    async def put_back(self, job_id: UUID) -> None:
        """In one of the two ways: two messages for the same work may start two workers at once, which is a charge without any upgrade."""
        [how] = self.chance.sample((put_back, put_back_raw), 1)
        await asyncio.gather(how(self.system, job_id), return_exceptions=True)

    async def edited(self) -> None:
        """Done, and made anew of what its client puts back."""
        case = self.case
        if job_id := await self.taken_on("subtitled"):
            await self.system.until_over([job_id])
            url, kind = f"/api/jobs/{job_id}/subtitles", {"content-type": "text/vtt"}
            async with self.system.http.put(url, data=CUES, headers=kind) as answer:
                if answer.status != 202:
                    case.broken.append(f"an edit was answered {answer.status}: {await answer.text()}")

    async def repaired(self) -> UUID:
        """Its clip's file is lost and, as the janitor of ours does after an hour, the job runs again. Returns at once."""
        [job_id] = await self.system.accepted(["clip"])
        self.case.jobs.add(job_id)
        await self.system.until_over([job_id])
        job = (await self.system.jobs([job_id]))[job_id]
        assert job.clip, job.status
        lost, environ = job.clip.video_key, self.system.environ
        expect(self.system, job_id, Expected(kind="repaired"))
        async with open_object_store(load(CommonSettings, environ)) as objects:
            await objects.results.delete([lost])
        async with open_event_store(environ["DATABASE_URL"], connections=1) as store, connected_bus(environ["NATS_URL"]) as bus:
            [opening] = envelopes(job, remedy(job, [lost], has_source=True), at=job.updated_at or job.created_at)  # type: ignore[arg-type]
            await store.append(opening, expires_at=job.expires_at)
            reopened = (await self.system.jobs([job_id]))[job_id]
            stage = awaited_stage(reopened)
            cause = cause_for(reopened, stage) if stage else None
            assert cause, reopened.status
            await bus.publish(cause)
        return job_id
