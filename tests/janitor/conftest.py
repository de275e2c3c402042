"""The janitor's world: a NATS of its own whose streams are new for each test, the session's Postgres emptied, the session's S3."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ
from libs.common.runtime import streams
from libs.common.runtime.background import running
from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.service import Connections, connections
from libs.common.runtime.settings import load
from services.janitor.dlq_service import serve_dead_letters
from services.janitor.settings import JanitorSettings
from tests.janitor.desk import described


@dataclass(frozen=True)
class World:
    c: Connections
    settings: JanitorSettings
    own: LocalServers
    """Only the NATS server: the others are the session's."""

    @property
    def store(self):
        return self.c.store

    @property
    def bus(self):
        return self.c.bus

    @property
    def objects(self):
        return self.c.objects


@asynccontextmanager
async def opened(servers: dict[str, str], folder: Path) -> AsyncIterator[World]:
    shared = {name: value for name, value in servers.items() if name != "NATS_URL"}
    async with embedded_servers(folder, shared) as own:
        settings = load(JanitorSettings, own.variables)
        async with connections(settings, "tests") as c:
            await c.objects.ensure_buckets()
            while not c.bus.client.is_connected:
                await asyncio.sleep(0.01)
            await streams.ensure(c.bus.js, replicas=1)
            yield World(c, settings, own)


@pytest.fixture(scope="session")
async def lasting(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One NATS server for all tests. Whoever kills it starts it again before the test ends."""
    async with opened(servers, tmp_path_factory.mktemp("lasting")) as world:
        yield world


@pytest.fixture
async def world(emptied: World) -> World:
    """The lasting world without a job, its streams as new: they count from one, and remember no message that they had."""
    await _made_anew(emptied.bus.js)
    return emptied


@pytest.fixture
async def emptied(lasting: World, servers: dict[str, str]) -> World:
    """The lasting world without a job: for what needs no streams."""
    await _emptied(servers["DATABASE_URL"])
    return lasting


@pytest.fixture
async def own(world: World) -> World:
    """The world with buckets of its own: for what looks through all the storage."""
    return await own_buckets(world)


async def own_buckets(world: World) -> World:
    """The world with empty buckets, whose every object is old enough at once."""
    names = {"s3_sources_bucket": f"sources-{uuid4()}", "s3_results_bucket": f"results-{uuid4()}"}
    settings = msgspec.structs.replace(world.settings, **names, orphans_grace_hours=1e-9, cleanup_pause_ms=1)
    client, signer = world.objects.sources._client, world.objects.sources._signer
    sources, results = (Bucket(name, client, signer) for name in names.values())
    objects = ObjectStore(sources, results, settings.s3_region)
    await objects.ensure_buckets()
    return replace(world, c=replace(world.c, objects=objects), settings=settings)


@pytest.fixture
async def served(world: World) -> AsyncIterator[World]:
    """The world with a janitor that answers for the dead letters."""
    async with running(serve_dead_letters(world.settings, world.c)):
        async with asyncio.timeout(40):
            while not await described(world.bus.client):
                await asyncio.sleep(0.02)
        yield world


async def _emptied(url: str) -> None:
    """Who still reads for another module may lock the tables in another order: Postgres refuses one of the two, and this asks again."""
    connection = await asyncpg.connect(url)
    try:
        while True:
            with suppress(asyncpg.DeadlockDetectedError):
                await connection.execute("TRUNCATE job_events, job_index, leases")
                return
    finally:
        await connection.close()


async def _made_anew(js: JetStreamContext) -> None:
    for name in (CLIPS, DLQ, ADVISORIES):
        with suppress(NotFoundError):
            await js.delete_stream(name)
    await streams.ensure(js, replicas=1)
