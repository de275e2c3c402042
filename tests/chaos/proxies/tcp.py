"""A TCP proxy whose links can be cut or frozen. What it passes on is a subclass's business: frames of its protocol."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

CHUNK = 65536
P = TypeVar("P", bound="Proxy")


@dataclass(slots=True, eq=False)
class Link:
    """One client's connection and the one that we made to the server for it. Frozen, it is half-open: all alive, nothing passes."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Both ends at once, as a reset does: what is still on its way is lost."""
        self.client.transport.abort()
        self.server.transport.abort()

    async def to_client(self, data: bytes) -> None:
        await self.flows.wait()
        self.client.write(data)
        await self.client.drain()

    async def to_server(self, data: bytes) -> None:
        await self.flows.wait()
        self.server.write(data)
        await self.server.drain()


class Proxy:
    """Passes bytes both ways. A subclass reads frames in `upwards` and `downwards` and decides on each."""

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts = 0

    @property
    def url(self) -> str:
        """The server's own URL, by way of us."""
        login = self._upstream.netloc.rpartition("@")[0]
        return self._upstream._replace(netloc=f"{login}@127.0.0.1:{self.port}" if login else f"127.0.0.1:{self.port}").geturl()

    def cut_all(self) -> None:
        self.cuts += 1
        for link in self._links:
            link.cut()

    def freeze(self) -> None:
        """Every link that there is becomes half-open; new ones pass, as through a firewall that forgot its connections."""
        for link in self._links:
            link.flows.clear()

    async def upwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        """From the client to the server, until the client ends."""
        while data := await reader.read(CHUNK):
            await link.to_server(data)

    async def downwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await link.to_client(data)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._served(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, server)
        link.flows.set()
        self._links.add(link)
        ways = {asyncio.create_task(self._passed(way)) for way in (self.upwards(link, reader), self.downwards(link, answers))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            link.client.close()
            link.server.close()

    @staticmethod
    async def _passed(way: Coroutine[Any, Any, None]) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await way

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def opened(proxy: P) -> AsyncIterator[P]:
    """The proxy listens on a free port while inside."""
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
