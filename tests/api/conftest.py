"""A running API on real servers: the session's Postgres and S3, and a NATS of its own whose streams nobody else reads."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.common.domain.events import Envelope
from libs.common.runtime import streams
from libs.common.runtime.embedded import LocalServers, Server, embedded_servers
from libs.common.runtime.service import Connections, connections
from libs.common.runtime.settings import load
from services.api.server import NEEDED, serving
from services.api.settings import ApiSettings
from tests.own_database import own_database

UNLIMITED = {"RATE_LIMIT_MAX": "0", "MAX_ACTIVE_JOBS_PER_CLIENT": "0", "WORKER_QUEUE_HIGH_WATERMARK": "1000000"}
"""Nobody works on what the tests order, and all of them are one client."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP, which else read all the authorities of the world."""


@dataclass(frozen=True, slots=True)
class Running:
    """An API that serves, the way to it, and the servers behind it."""

    http: httpx.AsyncClient
    to: Connections
    environ: dict[str, str]
    nats: Server

    async def knows(self, *events: Envelope) -> UUID:
        """A job with this history."""
        for event in events:
            await self.to.store.append(event)
        return events[0].job_id

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels on /metrics."""
        families = text_string_to_metric_families((await self.http.get("/metrics")).text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    async def uploads(self) -> set[str]:
        return {found.key async for found in self.to.objects.sources.list("uploads/")}


@asynccontextmanager
async def running(environ: dict[str, str], **changes: str) -> AsyncIterator[tuple[httpx.AsyncClient, Connections]]:
    """An API in this process, with settings changed as named."""
    given = {"PORT": "0", "MAX_INPUT_MB": "300", **UNLIMITED}
    settings = load(ApiSettings, {**environ, **given, **changes})
    async with (
        connections(settings, "api", needed=NEEDED) as to,
        serving(settings, to) as url,
        httpx.AsyncClient(base_url=url, timeout=30, verify=NO_TLS) as http,
    ):
        yield http, to


@pytest.fixture(scope="session")
async def environ(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[dict[str, str], LocalServers]]:
    others = {name: value for name, value in servers.items() if name != "NATS_URL"}
    async with embedded_servers(tmp_path_factory.mktemp("api"), others) as own:
        yield own.variables, own


@pytest.fixture(scope="session")
async def api(environ: tuple[dict[str, str], LocalServers]) -> AsyncIterator[Running]:
    variables, own = environ
    async with running(variables) as (http, to):
        await to.objects.ensure_buckets()
        await to.health.until_up()
        await streams.ensure(to.bus.js, replicas=1)
        yield Running(http, to, variables, own.nats)


@pytest.fixture(scope="session")
async def webhook_database(servers: dict[str, str]) -> AsyncIterator[str]:
    """Where no API sends webhooks but those that a test starts there."""
    async with own_database(servers["DATABASE_URL"]) as url:
        yield url
