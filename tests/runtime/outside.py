"""Servers that stand for the outside, on 127.0.0.2, and for what must not be reached, on 127.0.0.1; and guards over them."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from libs.common.domain.source_urls import url_rules
from libs.common.runtime.egress import Guard, open_guard
from tests.dns_stub import Answer, DnsStub, dns_stub

OUTSIDE = "127.0.0.2"
INSIDE = "127.0.0.1"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Site:
    """A server: its port, how many connections it got and how many of them are open."""

    port: int = 0
    connections: int = 0
    is_open: int = 0


@asynccontextmanager
async def site(handler: Handler, host: str = OUTSIDE, context: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Each connection goes to the handler, which may run as long as it likes: it ends with the connection or the block."""
    found = Site()
    tasks: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, RuntimeError):  # uvloop's for a connection that is closed
                await handler(reader, writer)
        finally:
            found.is_open -= 1
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        found.is_open += 1
        task = asyncio.create_task(served(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Reads for ever and says nothing."""
    while await reader.read(65536):
        pass


def saying(answer: bytes) -> Handler:
    """Reads a head and gives this answer."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return handler


def answering(body: bytes, *fields: str, status: str = "200 OK") -> Handler:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return saying("\r\n".join(head).encode() + body)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(65536))
        await writer.drain()


@asynccontextmanager
async def guarding(
    *sites: Site, answers: Mapping[str, Sequence[Answer]] | None = None, networks: str = f"{OUTSIDE}/32", lookup_seconds: float = 5
) -> AsyncIterator[tuple[Guard, DnsStub]]:
    """A guard that lets the ports of these sites through, and the name server it asks."""
    rules = url_rules("", networks, ",".join(["80", "443", *(str(there.port) for there in sites)]))
    async with dns_stub(answers or {}) as stub, open_guard(rules, [stub.address], lookup_seconds=lookup_seconds) as guard:
        yield guard, stub


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's side of a certificate that is made here, for secure.test."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    name = ("-subj", "/CN=secure.test", "-addext", "subjectAltName=DNS:secure.test", "-days", "2")
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *name)
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))
