"""Three NATS servers that run deploy/nats/clipstream.conf as it is, with TLS, told apart by their environment alone."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp

from libs.common.runtime.embedded_home import PortClaims
from libs.common.runtime.embedded_process import Program, Server
from tests.deploy.database import ROOT, SERVICES
from tests.runtime.nats_cluster import PROGRAM

CONFIGURATION = ROOT / "deploy" / "nats" / "clipstream.conf"
USERS = ("operator", *SERVICES)
SECRET = "of-the-tests"
HASHED = '"$2b$04$VaqPXIBBVIUP50Ty..E3quY13XlHhwNlqCEFVRcJcuRgGyY1FTf0i"'
"""SECRET as bcrypt has it, of the least cost there is."""


@dataclass(frozen=True)
class MessageServers:
    addresses: tuple[str, ...]
    monitors: tuple[str, ...]
    certificate: Path

    def url(self, user: str) -> str:
        return ",".join(f"tls://{user}:{SECRET}@{address}" for address in self.addresses)

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@asynccontextmanager
async def production_nats(home: Path, count: int = 3) -> AsyncIterator[MessageServers]:
    claims = PortClaims()
    ports = [(claims.claim_any(), claims.claim_any(), claims.claim_any()) for _ in range(count)]
    certificate = certified(home)
    routes = ", ".join(f"tls://127.0.0.1:{route}" for _, route, _ in ports)
    servers = [_server(home / f"n{n}", ports[n], routes, certificate) for n in range(count)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        monitors = tuple(f"http://127.0.0.1:{monitor}" for *_, monitor in ports)
        await _whole(monitors)
        yield MessageServers(tuple(f"127.0.0.1:{port}" for port, *_ in ports), monitors, certificate)
    finally:
        await asyncio.gather(*(server.stop() for server in servers))
        claims.close()


def _server(folder: Path, ports: tuple[int, int, int], routes: str, certificate: Path) -> Server:
    client, cluster, monitor = ports
    environ = {
        "NATS_SERVER_NAME": folder.name,
        "NATS_LISTEN": f'"127.0.0.1:{client}"',
        "NATS_CLIENT_ADVERTISE": f'"localhost:{client}"',
        "NATS_MONITOR_LISTEN": f'"127.0.0.1:{monitor}"',
        "NATS_STORE_DIR": json.dumps(str(folder / "data")),
        "NATS_TLS_CERTIFICATE": json.dumps(str(certificate)),
        "NATS_TLS_KEY": json.dumps(str(certificate.with_name("key.pem"))),
        "NATS_CLUSTER_LISTEN": f'"127.0.0.1:{cluster}"',
        "NATS_CLUSTER_ROUTES": f"[{routes}]",
        "NATS_CLUSTER_AUTHORITY": json.dumps(str(certificate)),
        **{f"NATS_{user.upper()}_PASSWORD": HASHED for user in USERS},
    }
    argv = (str(PROGRAM), "--config", str(CONFIGURATION))
    return Server(Program(folder.name, argv, folder, _nothing, partial(_listens, client), environ))


async def _nothing(_: int) -> None: ...


async def _listens(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def certified(home: Path) -> Path:
    """One certificate for all: its own authority, of servers and of the routes between them."""
    certificate = home / "certificate.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=nats", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    paths = ["-keyout", str(home / "key.pem"), "-out", str(certificate)]
    subprocess.run([*made.split(), *names, *paths], check=True, capture_output=True)
    return certificate


async def _whole(monitors: tuple[str, ...]) -> None:
    async with asyncio.timeout(90), aiohttp.ClientSession() as http:
        for monitor in monitors:
            while not await _is_healthy(http, monitor):
                await asyncio.sleep(0.05)


async def _is_healthy(http: aiohttp.ClientSession, monitor: str) -> bool:
    async with http.get(f"{monitor}/healthz") as answer:
        return answer.status == 200
