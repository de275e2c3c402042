"""One request and what was sent for it; the ways in which an answer is sent, all of which count."""

import asyncio
import struct
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET

from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

CHUNK_BYTES = 16 * 1024
EXCHANGE = web.RequestKey("exchange", "Exchange")


@dataclass(slots=True)
class Exchange:
    """`status`: 0 when there was no answer. `sent`: bytes of the body that the kernel took; who hangs up may not have read them all."""

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    status: int = 0
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get(hdrs.RANGE)


async def answered(
    request: web.Request,
    body: bytes | Iterable[bytes] | AsyncIterable[bytes],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> web.StreamResponse:
    """Without `length` the body of an iterable is sent in chunks, whose sum nobody is told."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body) if isinstance(body, bytes) else length
    request[EXCHANGE].status = status
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        async for part in _parts(body):
            await response.write(part)
            await _taken(request, len(part))
    return response


async def _parts(body: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(body, AsyncIterable):
        async for part in body:
            yield part
    else:
        for part in _cut(body) if isinstance(body, bytes) else body:
            yield part


def _cut(body: bytes) -> Iterable[bytes]:
    return (body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES))


async def raw(request: web.Request, data: bytes) -> None:
    """Bytes of a body on the wire as they are, for answers that no server would send."""
    await request.writer.write(data)
    await _taken(request, len(data))


async def raw_head(request: web.Request, data: bytes) -> None:
    """The same for what comes before a body."""
    request[EXCHANGE].status = 200
    await request.writer.write(data)
    await _taken(request, 0)


async def _taken(request: web.Request, count: int) -> None:
    await request.writer.drain()
    request[EXCHANGE].sent += count


async def silence() -> None:
    """Until the reader hangs up, or the site closes."""
    await asyncio.Event().wait()


def hung_up(request: web.Request) -> web.StreamResponse:
    """The connection closed after what was sent; the answer is never sent."""
    request.protocol.force_close()
    return web.Response()


def reset(request: web.Request) -> web.StreamResponse:
    """The connection reset (RST): what the reader has not read is lost."""
    assert request.transport
    request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return hung_up(request)
