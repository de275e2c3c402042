"""Production mode from the Procfile, with the variables of docs/security.md. As pods it is in test_manifest_processes."""

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from libs.common.runtime.embedded_home import PortClaims
from tests.deploy.database import ROOT, SERVICES, Database, production_database
from tests.deploy.message_servers import MessageServers, production_nats
from tests.deploy.running import until_ready
from tests.deploy.whole_jobs import SWEEPS, Production, WholeJobs
from tools.local_stack import Plan, service_environ
from tools.supervisor import Service, parse_procfile, supervised

pytestmark = [pytest.mark.timeout(300), pytest.mark.thorough]
APART = ("resolver", "clipper", "asr")


def environ_of(service: str, database: Database, messages: MessageServers, common: Mapping[str, str], port: int) -> dict[str, str]:
    """What docs/security.md tells the operator to set for this service."""
    prefix = {"NATS_API_PREFIX": "CLIPSTREAM.API"} if service in APART else {}
    listens = {"PORT": str(port)} if service == "api" else {"HEALTH_PORT": str(port)}
    return {**common, "DATABASE_URL": database.url(service), "NATS_URL": messages.url(service), **prefix, **listens}


@pytest.fixture(scope="module")
async def production(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Production]:
    home = tmp_path_factory.mktemp("production")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(production_database(servers, os.environ, "production"))
        messages = await stack.enter_async_context(production_nats(home))
        claims = PortClaims()
        stack.callback(claims.close)
        ports = {service: claims.claim_any() for service in SERVICES}
        common = common_environ(home, servers, messages)
        await bootstrapped({**common, "DATABASE_URL": database.url("api"), "NATS_URL": messages.url("operator")})
        commands = parse_procfile((ROOT / "Procfile").read_text())
        services = [Service(name, commands[name], environ_of(name, database, messages, common, ports[name])) for name in SERVICES]
        log = stack.enter_context((home / "services.log").open("w", buffering=1))
        await stack.enter_async_context(supervised(services, lambda name, line: print(f"{name}: {line}", file=log)))
        http = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{ports['api']}"))
        for port in ports.values():
            await until_ready(port, home / "services.log", path="/readyz")
        yield Production(http, database, messages, home / "services.log", f"http://127.0.0.1:{ports['janitor']}")


def common_environ(home: Path, servers: Mapping[str, str], messages: MessageServers) -> dict[str, str]:
    (home / "scratch").mkdir()
    s3 = {name: value for name, value in servers.items() if name.startswith("S3_")}
    own = {
        "ENVIRONMENT": "production",
        "STREAM_REPLICAS": "3",
        "NATS_MONITOR_URLS": ",".join(messages.monitors),
        "SSL_CERT_FILE": str(messages.certificate),
        "RATE_LIMIT_MAX": "0",
        **SWEEPS,
    }
    return {**service_environ(Plan(home, os.environ), s3), **own}


async def bootstrapped(environ: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(*shlex.split("python -m libs.common.runtime.bootstrap"), cwd=ROOT, env=environ)
    assert await process.wait() == 0


class TestFromTheProcfile(WholeJobs):
    """All that it has."""
