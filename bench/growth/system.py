"""The code under measure in this process, on one database: the API's application, the store, the sweeps' statements. One connection.

What a call costs is this process's CPU and that of its backend, to the nanosecond; and the buffers of the very plans that ran.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from bench.growth.population import Sample
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.health import Health
from libs.common.runtime.jetstream import open_bus
from libs.common.runtime.object_store import open_object_store
from libs.common.runtime.postgres import Pool, Statements
from libs.common.runtime.service import Connections
from libs.common.runtime.settings import load
from libs.common.runtime.streams import ensure
from services.api.access import App
from services.api.app import create_app
from services.api.assembly import api_of
from services.api.context import Api
from services.api.settings import ApiSettings

SETTINGS = {
    "ENABLE_YTDLP": "true",
    "RATE_LIMIT_MAX": "0",
    "MAX_ACTIVE_JOBS_PER_CLIENT": "0",
    "WORKER_QUEUE_HIGH_WATERMARK": "100000000",
}
EXPLAINED = {
    "auto_explain.log_min_duration": "-1",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "auto_explain.log_nested_statements": "off",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call: CPU seconds of the service's code and of its backend."""

    service: float
    postgres: float

    @property
    def cpu(self) -> float:
        return self.service + self.postgres


@dataclass(slots=True)
class Plans:
    """What auto_explain tells of each statement, while it is asked to."""

    buffers: int = 0

    def hear(self, _: object, message: Any) -> None:
        if "plan:" in (text := str(message.message)):
            self.buffers += buffers_of(json.loads(text.partition("plan:")[2])["Plan"])


def buffers_of(node: Mapping[str, Any]) -> int:
    """Pages of a plan, found in memory or read. A node has those of its children, but for what a WITH writes after its end."""
    own = int(node.get("Shared Hit Blocks", 0)) + int(node.get("Shared Read Blocks", 0))
    return max(own, sum(buffers_of(child) for child in node.get("Plans", ())))


@dataclass(frozen=True, slots=True)
class System:
    app: App
    api: Api
    store: PostgresEventStore
    pool: Pool
    sample: Sample
    backend: int
    """Its process."""
    plans: Plans
    texts: dict[str, Statements] = field(default_factory=dict)

    def statements(self, file: str, package: str) -> Statements:
        """Read once, as a service does at its start."""
        if file not in self.texts:
            self.texts[file] = Statements(self.pool, file, package)
        return self.texts[file]

    def spent(self) -> Cost:
        """So far."""
        return Cost(time.process_time(), int(Path(f"/proc/{self.backend}/schedstat").read_text().split()[0]) / 1e9)

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body, of the application itself: without a network, or a server."""
        path, _, query = target.partition("?")
        said: list[Mapping[str, Any]] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await self.app(_scope(method, path, query, len(body)), receive, send)
        return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])

    @asynccontextmanager
    async def explained(self) -> AsyncIterator[Plans]:
        """The buffers of all that is done inside."""
        self.plans.buffers = 0
        await self._switch("0")
        yield self.plans
        await self._switch("-1")

    async def _switch(self, milliseconds: str) -> None:
        await self.pool.execute(f"SET auto_explain.log_min_duration = {milliseconds}")


def _scope(method: str, path: str, query: str, length: int) -> dict[str, Any]:
    headers = [(b"host", b"bench"), (b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


@asynccontextmanager
async def opened(variables: Mapping[str, str], sample: Sample) -> AsyncIterator[System]:
    """On the database that the variables name. Nothing of it does anything of itself."""
    settings, plans = load(ApiSettings, {**os.environ, **variables, **SETTINGS}), Plans()
    async with (
        _pool(variables["DATABASE_URL"], plans.hear) as pool,
        open_bus(variables["NATS_URL"], name="growth") as bus,
        open_object_store(settings) as objects,
    ):
        while not bus.client.is_connected:
            await asyncio.sleep(0.01)
        await ensure(bus.js, replicas=1)
        store = PostgresEventStore(pool)
        api = api_of(settings, Connections(pool=pool, store=store, bus=bus, objects=objects, health=Health({})))
        backend = int(await pool.fetchval("SELECT pg_backend_pid()"))
        yield System(create_app(api), api, store, pool, sample, backend, plans)


@asynccontextmanager
async def _pool(url: str, hear: Callable[[object, Any], None]) -> AsyncIterator[Pool]:
    async def begin(connection: Any) -> None:
        await connection.execute("LOAD 'auto_explain'")
        for name, value in EXPLAINED.items():
            await connection.execute(f"SET {name} = {value}")

    async def listen(connection: Any) -> None:
        connection.add_log_listener(hear)

    async def leave(connection: Any) -> None:
        """Instead of a reset, which would unlearn the settings."""
        connection.remove_log_listener(hear)

    async with asyncpg.create_pool(url, min_size=1, max_size=1, init=begin, setup=listen, reset=leave) as pool:
        yield pool
