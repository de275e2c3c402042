"""A NATS server of a test's own, empty, and ways to reach it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.runtime.embedded import LocalServers, embedded_servers
from libs.common.runtime.jetstream import JetStreamBus, open_bus


@asynccontextmanager
async def own_nats(servers: dict[str, str], home: Path) -> AsyncIterator[LocalServers]:
    """NATS is started; Postgres and S3 are the session's."""
    async with embedded_servers(home, {name: value for name, value in servers.items() if name != "NATS_URL"}) as own:
        yield own


@asynccontextmanager
async def connected_bus(url: str) -> AsyncIterator[JetStreamBus]:
    async with open_bus(url, name="tests") as bus:
        async with asyncio.timeout(40):
            while not bus.client.is_connected:
                await asyncio.sleep(0.01)
        yield bus
