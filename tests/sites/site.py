"""A site on a loopback port, in the running loop, that remembers each request and counts what it sent; and canaries, that nobody may reach.

    film = hour_film(folder)                                   # tests.sites.films
    async with open_site(folder) as site:
        url = site.file(packaged(film, "hls-ts"))              # tests.sites.packagings
        ...
        assert site.sent < film.stat().st_size // 20

All it serves is found in the docstrings of files, pages, manifests and faults; `url` and `to` make the addresses.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from aiohttp import web

from tests.sites import faults, files, manifests, pages
from tests.sites.exchange import EXCHANGE, Exchange, hung_up

HOST = "127.0.0.1"
CANARY_HOST = "127.0.0.2"
"""Not the sites' own, so that a network may be allowed without the other."""
SEND_BUFFER_BYTES = 32 * 1024
"""What the kernel may hold of what a reader has not read: little, so that `sent` follows the readers."""
MOMENT = 0.02
"""Seconds for whoever is still reading when the site closes; aiohttp takes 0 for no limit."""


@dataclass(slots=True)
class Site:
    """`requests`: in the order in which they came. `connections`: how many there ever were."""

    folder: Path
    host: str
    port: int
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str, *, host: str | None = None, **query: str | float) -> str:
        """`host`: another name for this site, for tests with a resolver of their own."""
        asked = f"?{urlencode(query)}" if query else ""
        return f"http://{host or self.host}:{self.port}{path}{asked}"

    def file(self, path: Path, *, how: str = "files", **query: str | float) -> str:
        """A file of the folder; `how` is the first part of a path of files.py, or `faults/<name>` or `live`."""
        return self.url(f"/{how}/{quote(str(path.resolve().relative_to(self.folder)))}", **query)

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(exchange.sent for exchange in self.requests)

    @property
    def sent_by_path(self) -> Counter[str]:
        sums: Counter[str] = Counter()
        for exchange in self.requests:
            sums[exchange.path] += exchange.sent
        return sums

    def asked(self, path: str) -> list[Exchange]:
        """The requests whose path ends so."""
        return [exchange for exchange in self.requests if exchange.path.endswith(path)]

    def forget(self) -> None:
        """Counts begin again at nothing."""
        self.requests.clear()
        self.connections = 0


@asynccontextmanager
async def open_site(folder: Path | None = None, *, host: str = HOST) -> AsyncIterator[Site]:
    """Closed on exit, with all its connections. `folder` is what `file` gives out."""
    listening = _listening(host)
    site = Site((folder or Path("/var/empty")).resolve(), host, listening.getsockname()[1])
    runner = web.AppRunner(_application(site), access_log=None, handler_cancellation=True, shutdown_timeout=MOMENT)
    await runner.setup()

    def connected() -> asyncio.Protocol:
        site.connections += 1
        assert runner.server
        return runner.server()

    server = await asyncio.get_running_loop().create_server(connected, sock=listening)
    try:
        yield site
    finally:
        server.close()
        await runner.cleanup()


def _listening(host: str) -> socket.socket:
    listening = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening


def _application(site: Site) -> web.Application:
    @web.middleware
    async def remembered(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        assert request.transport
        request.transport.set_write_buffer_limits(0)
        request[EXCHANGE] = Exchange(request.method, request.path, request.query_string, request.headers)
        site.requests.append(request[EXCHANGE])
        try:
            return await handler(request)
        except web.HTTPException as refused:
            request[EXCHANGE].status = refused.status
            raise
        except ConnectionError:  # the reader has enough
            return hung_up(request)

    application = web.Application(middlewares=[remembered])
    application[files.FOLDER] = site.folder
    application[faults.SEEN] = Counter()
    for part in (files, pages, manifests, faults):
        application.add_routes(part.routes())
    return application


@dataclass(slots=True)
class Canary:
    """Whoever connects to it has left the ways that are allowed. `received`: what they sent."""

    host: str
    port: int
    connections: int = 0
    received: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/film.mp4") -> str:
        return f"http://{self.host}:{self.port}{path}"


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret"


@asynccontextmanager
async def open_canary(host: str = CANARY_HOST) -> AsyncIterator[Canary]:
    """Answers every connection with a secret."""
    listening = _listening(host)
    canary = Canary(f"[{host}]" if ":" in host else host, listening.getsockname()[1])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.connections += 1
        canary.received.append(await reader.read(4096))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, sock=listening):
        yield canary
