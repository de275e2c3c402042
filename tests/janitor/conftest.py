"""The janitor's world: a NATS of its own with the streams, the session's Postgres emptied, the session's S3."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from libs.common.runtime import streams
from libs.common.runtime.embedded import LocalServers, embedded_servers
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


@pytest.fixture
async def world(servers: dict[str, str], tmp_path: Path) -> AsyncIterator[World]:
    await _emptied(servers["DATABASE_URL"])
    shared = {name: value for name, value in servers.items() if name != "NATS_URL"}
    async with embedded_servers(tmp_path, shared) as own:
        settings = load(JanitorSettings, own.variables)
        async with connections(settings, "tests") as c:
            await c.objects.ensure_buckets()
            while not c.bus.client.is_connected:
                await asyncio.sleep(0.01)
            await streams.ensure(c.bus.js, replicas=1)
            yield World(c, settings, own)


@pytest.fixture
async def served(world: World) -> AsyncIterator[World]:
    """The world with a janitor that answers for the dead letters."""
    task = asyncio.create_task(serve_dead_letters(world.settings, world.c))
    async with asyncio.timeout(10):
        while not await described(world.bus.client):
            await asyncio.sleep(0.02)
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _emptied(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("TRUNCATE job_events, job_index")
    finally:
        await connection.close()
