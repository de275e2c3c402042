"""A loopback HTTP server that gives one object by ranges, so that no signed URL stands in ffmpeg's arguments or messages.

One a job, on a port and under a random path of its own: it dies with the job, and with it all that ffmpeg still reads.
"""

import re
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import Bucket, ObjectInfo

SEND_BUFFER_BYTES = 128 * 1024
"""What the kernel may hold for a reader that does not read: little, so that bytes read from S3 follow what ffmpeg wants."""

LAST_SECONDS = 0.02
"""What a reader that is still at it gets at the end; aiohttp takes 0 for no limit."""

READ_AGAIN = 8
SLACK_BYTES = 64 << 20
"""What may be read of an object in all: so many times its size, and this. More asks only a file that leads its reader in circles."""

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")


@dataclass(slots=True)
class Served:
    """Where the object is read, how many of its bytes came from S3, and the first Failure that S3 answered with."""

    url: str = field(repr=False)
    bytes_read: int = 0
    failure: Failure | None = None

    def count(self, chunk: bytes, size: int) -> None:
        """Raises Failure when far more was read than an object of this size holds."""
        self.bytes_read += len(chunk)
        if self.bytes_read > READ_AGAIN * size + SLACK_BYTES:
            raise Failure(Code.SOURCE_UNREADABLE, "the source leads its reader in circles")


@asynccontextmanager
async def served(bucket: Bucket, info: ObjectInfo) -> AsyncIterator[Served]:
    """The object at a URL of this machine alone, as it was when `info` was asked for; closed, readers and all, on exit.

    Raises S3's Failure, if there was one, in place of the block's own: a program that S3 left in the middle blames the file.
    """
    listening = _listen()
    path = f"/{secrets.token_urlsafe(24)}"
    result = Served(f"http://127.0.0.1:{listening.getsockname()[1]}{path}")

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await _answer(request, path, bucket, info, result)

    runner = web.ServerRunner(web.Server(answer, handler_cancellation=True, access_log=None), shutdown_timeout=LAST_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield result
    except Failure as failure:
        raise result.failure or failure from None
    finally:
        await runner.cleanup()
    if result.failure:
        raise result.failure


def _listen() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening


async def _answer(request: web.BaseRequest, path: str, bucket: Bucket, info: ObjectInfo, result: Served) -> web.StreamResponse:
    if not secrets.compare_digest(request.path.encode(), path.encode()):
        return web.Response(status=HTTPStatus.NOT_FOUND)
    if request.method not in {"GET", "HEAD"}:
        return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
    wanted = range_of(request.headers.get("Range"), info.size)
    if wanted is None:
        return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{info.size}"})
    response = _head(wanted, info.size, partial="Range" in request.headers)
    await response.prepare(request)
    if request.method == "GET":
        await _send(request, response, bucket, info, wanted, result)
    return response


def _head(wanted: range, size: int, *, partial: bool) -> web.StreamResponse:
    response = web.StreamResponse(status=HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
    response.content_type = "application/octet-stream"
    response.content_length = len(wanted)
    response.headers["Accept-Ranges"] = "bytes"
    if partial:
        response.headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    return response


async def _send(
    request: web.BaseRequest, response: web.StreamResponse, bucket: Bucket, info: ObjectInfo, wanted: range, result: Served
) -> None:
    """Until the reader goes away, which cancels this, or S3 does, which breaks the connection off: a short answer must not look whole."""
    try:
        async with aclosing(bucket.stream(info.key, wanted.start, wanted.stop, if_match=info.etag)) as chunks:
            async for chunk in chunks:
                result.count(chunk, info.size)
                await response.write(chunk)
    except ConnectionError:
        return  # the reader went away, as ffmpeg does whenever it seeks
    except Failure as failure:
        result.failure = result.failure or failure
        if request.transport:
            request.transport.abort()


def range_of(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for; all of them without one; None when none of them exists (RFC 9110, 14.1.2).

    Several ranges at once are not understood and answered with None: no reader of ours asks for them.
    """
    if header is None:
        return range(size)
    asked = _RANGE.fullmatch(header)
    if not asked:
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        wanted = range(max(0, size - int(suffix)), size)
    else:
        wanted = range(int(first), min(size, int(last) + 1) if last else size)
    return wanted or None
