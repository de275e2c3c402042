"""The connections that the egress proxy joins: to addresses that were checked, directly or through the operator's own proxy."""

import asyncio
import base64
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.egress import family_of
from libs.common.runtime.http_heads import connect_head, is_tunnel_open

HEAD_BYTES = 64 << 10
CHUNK_BYTES = 64 << 10
BUFFER_BYTES = 128 << 10
"""Of each socket: more only means bytes fetched for a reader that has stopped."""
NEXT_ADDRESS_SECONDS = 0.25
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The operator's own HTTP proxy. It is asked for tunnels to addresses that the guard has checked, never for names."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> "Upstream":
        """The proxy at `http://user:password@host:port`. Raises ValueError, which does not show the URL."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("a proxy is written as http://host:port or http://user:password@host:port")
        credentials = None if parts.username is None else basic(unquote(parts.username), unquote(parts.password or ""))
        return cls(parts.hostname, parts.port or 80, credentials)


def basic(user: str, password: str) -> str:
    """The credentials as a header has them (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Side:
    """One of two connections that are joined."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def cut(self) -> None:
        """At once, unless it is closed already, and by a reset: what was sent so far must not look whole."""
        if not self.writer.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():  # uvloop has a RuntimeError for it
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, blamed: Code) -> list[bytes]:
        """The lines of a head, without their ends. Raises Failure(blamed) when it is too long, OSError when it breaks off."""
        lines: list[bytes] = []
        left = HEAD_BYTES
        while left > 0:
            line = await self._line(blamed)
            if line in {b"\r\n", b"\n"}:
                return lines
            lines.append(line.rstrip(b"\r\n"))
            left -= len(line)
        raise _too_long(blamed)

    async def _line(self, blamed: Code) -> bytes:
        try:
            line = await self.reader.readline()
        except ValueError:
            raise _too_long(blamed) from None
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        return line


def _too_long(blamed: Code) -> Failure:
    return Failure(blamed, "the head of a message is too long")


async def connected(addresses: Iterable[str], port: int, upstream: Upstream | None) -> Side:
    """To one of these addresses and nowhere else. Raises OSError or RuntimeError when none can be reached, Failure."""
    return await (_through(upstream, addresses, port) if upstream else _direct(addresses, port))


async def _direct(addresses: Iterable[str], port: int) -> Side:
    return await _reached([(family_of(address), socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses])


async def _through(upstream: Upstream, addresses: Iterable[str], port: int) -> Side:
    """A tunnel to the first of the addresses that the upstream reaches."""
    infos = await asyncio.get_running_loop().getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
    for address in addresses:
        side = await _reached(infos)
        try:
            await side.send(connect_head(address, port, upstream.authorization))
            if is_tunnel_open(await side.head(Code.RETRYABLE_ERROR)):
                return side
        except BaseException:
            side.cut()
            raise
        side.cut()
    raise ConnectionRefusedError


async def _reached(infos: Sequence[AddrInfoType]) -> Side:
    """Connected to one of the addresses, the next one tried while the first still hesitates (RFC 8305)."""
    connection = await start_connection(infos, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, socket_factory=_socket)
    try:
        return Side(*await asyncio.open_connection(sock=connection, limit=CHUNK_BYTES))
    except BaseException:
        connection.close()
        raise


def _socket(info: AddrInfoType) -> socket.socket:
    return with_small_buffers(socket.socket(*info[:3]))


def with_small_buffers(connection: socket.socket) -> socket.socket:
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        connection.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
    return connection
