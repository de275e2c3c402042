"""Three nats-servers on loopback with routes between them, JetStream that syncs always, each to be killed and started at will."""

import asyncio
import json
import random
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
import nats.errors
from nats.js.errors import APIError, ServiceUnavailableError

from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS
from libs.common.runtime.embedded_home import PortClaims, write_private
from libs.common.runtime.embedded_process import Program, Server
from libs.common.runtime.jetstream import JetStreamBus

T = TypeVar("T")
NODES = 3
USER, PASSWORD = "clipstream", "of-the-tests"
PROGRAM = Path(sysconfig.get_path("scripts")) / "nats-server"
IS_LEADING = aiohttp.ClientTimeout(total=1)


class NatsNode(Server):
    """One server of a cluster. `monitor` is its monitoring address."""

    def __init__(self, name: str, folder: Path, ports: tuple[int, int, int], routes: list[int], sync: str) -> None:
        self.name = name
        self.port, self.route, self.monitor_port = ports
        self._routes, self._sync = routes, sync
        self.configuration = folder / "nats.conf"
        super().__init__(Program(name, (str(PROGRAM), "--config", str(self.configuration)), folder, self._prepare, self._ready))

    @property
    def url(self) -> str:
        return f"nats://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    async def _prepare(self, _: int) -> None:
        routes = [f"nats://127.0.0.1:{port}" for port in self._routes]
        cluster = f'cluster {{ name: tests, listen: "127.0.0.1:{self.route}", routes: {json.dumps(routes)} }}' if routes else ""
        text = f"""\
server_name: {self.name}
listen: "127.0.0.1:{self.port}"
http: "127.0.0.1:{self.monitor_port}"
authorization {{ user: {USER}, password: "{PASSWORD}" }}
jetstream {{ store_dir: {json.dumps(str(self.program.folder / "data"))}, sync_interval: {self._sync} }}
{cluster}
"""
        write_private(self.configuration, text)

    async def _ready(self) -> None:
        """Raises OSError until it listens: a node alone of its cluster has no JetStream yet."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()


class NatsCluster:
    def __init__(self, home: Path, claims: PortClaims, *, sync: tuple[str, ...]) -> None:
        ports = [(claims.claim_any(), claims.claim_any(), claims.claim_any()) for _ in sync]
        routes = [route for _, route, _ in ports] if len(sync) > 1 else []
        self.nodes = [NatsNode(f"n{n}", home / f"n{n}", ports[n], routes, rule) for n, rule in enumerate(sync)]

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    @property
    def monitors(self) -> list[str]:
        return [node.monitor for node in self.nodes]

    async def start(self) -> None:
        await asyncio.gather(*(node.start() for node in self.nodes if not node.is_running))
        await self.settled()

    async def stop(self) -> None:
        await asyncio.gather(*(node.kill() for node in self.nodes))

    async def settled(self) -> None:
        """Return when every running node says of itself that its JetStream is whole and up to date."""
        async with asyncio.timeout(90), aiohttp.ClientSession(timeout=IS_LEADING) as http:
            for node in self.nodes:
                while node.is_running and not await _is_healthy(http, node.monitor):
                    await asyncio.sleep(0.05)

    async def leader(self, bus: JetStreamBus, stream: str = CLIPS) -> NatsNode:
        """The node that leads a stream's group now."""
        info = await answered(lambda: bus.js.stream_info(stream))
        return next(node for node in self.nodes if info.cluster and node.name == info.cluster.leader)

    def any_running(self, chance: random.Random) -> NatsNode:
        return chance.choice([node for node in self.nodes if node.is_running])


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """What it gives, asked again while nobody leads: healthy servers may still be electing, and one just started may not know who leads."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await ask()
            except Failure as failure:
                if failure.outage != "nats":
                    raise
            except nats.errors.Error as error:
                if isinstance(error, APIError) and not isinstance(error, ServiceUnavailableError):
                    raise
            await asyncio.sleep(0.05)


async def _is_healthy(http: aiohttp.ClientSession, monitor: str) -> bool:
    try:
        async with http.get(f"{monitor}/healthz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@asynccontextmanager
async def nats_cluster(home: Path, *, sync: tuple[str, ...] = ("always",) * NODES) -> AsyncIterator[NatsCluster]:
    """A node for each of `sync` (how often it syncs); a single one is no cluster."""
    claims = PortClaims()
    cluster = NatsCluster(home, claims, sync=sync)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()
        claims.close()
