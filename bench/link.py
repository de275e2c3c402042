"""A network between a client and a local server: counts the bytes that come down, delays each request, and is no faster than a line.

It relays TCP and knows nothing of HTTP but this: what a client sends after an answer (or first) begins a request.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Link:
    """`delay` in seconds a request, `rate` in bytes/s of each connection (0: as fast as it goes). Heads of answers count as bytes too."""

    delay: float = 0.0
    rate: float = 0.0
    url: str = ""
    bytes_down: int = 0
    requests: int = 0


@dataclass(slots=True)
class _Turn:
    """Whose turn it is on one connection."""

    answered: bool = True


@asynccontextmanager
async def link_to(url: str, link: Link) -> AsyncIterator[Link]:
    """`link.url` leads to the server at `url` (http://host:port), through the link."""
    server = urlsplit(url)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await _relay(link, reader, writer, server.hostname or "", server.port or 80)

    listening = await asyncio.start_server(relay, "127.0.0.1", 0, limit=CHUNK_BYTES)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        link.url = f"http://127.0.0.1:{port}"
        yield link


async def _relay(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Until either side ends: the other is told by closing both."""
    from_server, to_server = await asyncio.open_connection(host, port, limit=CHUNK_BYTES)
    turn = _Turn()
    ways = [asyncio.create_task(_up(link, reader, to_server, turn)), asyncio.create_task(_down(link, from_server, writer, turn))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        to_server.close()
        writer.close()


async def _up(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: _Turn) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        if turn.answered:
            turn.answered = False
            link.requests += 1
            await asyncio.sleep(link.delay)
        writer.write(chunk)
        await writer.drain()


async def _down(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: _Turn) -> None:
    """The pace is that of a whole answer, not of its chunks: sleeping is never exact."""
    began, sent = time.monotonic(), 0
    while chunk := await reader.read(CHUNK_BYTES):
        if not turn.answered:
            turn.answered, began, sent = True, time.monotonic(), 0
        sent += len(chunk)
        link.bytes_down += len(chunk)
        writer.write(chunk)
        await writer.drain()
        if link.rate:
            await asyncio.sleep(max(0.0, began + sent / link.rate - time.monotonic()))
