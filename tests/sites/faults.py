"""What breaks between a site and its reader: `/faults/<name>/<path>` is a file of the folder, given in a way that goes wrong.

slow-headers   a byte of the answer's head a second              slow-body     a byte of the file a second
stall          `after` bytes, then nothing                       reset         `after` bytes, then the connection is reset
endless        the file, then zeros for ever                     terabyte      says that it has 1 TB, gives what it has and hangs up
terabyte-range 1 TB, any range of the file and zeros after it    short-length  Content-Length says half, everything is sent
long-length    says twice, hangs up after the file               chunked       the file without its length
other-range    a range, but not the one that was asked for       changing      with ranges; another entity tag and size at each look
gzip-bomb      a page of 256 MB in 256 KB                        huge-page     a page of 200 MB
many-headers   headers without an end                            garbage       no HTTP at all
hang-up        closes without a word                             once          503 at the first look, the file with ranges from then on
"""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import chain, repeat

from aiohttp import hdrs, web

from tests.sites.exchange import CHUNK_BYTES, answered, hung_up, raw, raw_head, reset, silence
from tests.sites.files import file_of, pieces, type_of, with_ranges

SEEN = web.AppKey("seen", Counter)
"""How often each path was asked for, where that makes a difference."""
SECOND = 1.0
TERABYTE = 10**12
ZEROS = bytes(CHUNK_BYTES)
HUGE_BYTES = 200 << 20
BOMB_PARTS, BOMB_PART_BYTES = 256, 1 << 20


def routes() -> list[web.RouteDef]:
    return [web.get("/faults/{name}/{path:.+}", fault)]


async def fault(request: web.Request) -> web.StreamResponse:
    return await FAULTS[request.match_info["name"]](request)


def _size(request: web.Request) -> int:
    return file_of(request).stat().st_size


def _after(request: web.Request) -> int:
    return int(request.query.get("after", "100000"))


def _body(request: web.Request, end: int | None = None) -> Iterator[bytes]:
    return pieces(file_of(request), 0, _size(request) if end is None else end)


def _head(request: web.Request, length: int) -> bytes:
    kind = type_of(file_of(request))
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()


async def slow_headers(request: web.Request) -> web.StreamResponse:
    for byte in _head(request, _size(request)):
        await raw_head(request, bytes([byte]))
        await asyncio.sleep(SECOND)
    return hung_up(request)


async def slow_body(request: web.Request) -> web.StreamResponse:
    async def drops() -> AsyncIterator[bytes]:
        for piece in _body(request):
            for byte in piece:
                yield bytes([byte])
                await asyncio.sleep(SECOND)

    return await _given(request, drops(), _size(request))


async def stall(request: web.Request) -> web.StreamResponse:
    async def stalling() -> AsyncIterator[bytes]:
        for piece in _body(request, _after(request)):
            yield piece
        await silence()

    return await _given(request, stalling(), _size(request))


async def reset_midway(request: web.Request) -> web.StreamResponse:
    await _sent_raw(request, _head(request, _size(request)), _body(request, _after(request)))
    return reset(request)


async def endless(request: web.Request) -> web.StreamResponse:
    return await _given(request, chain(_body(request), repeat(ZEROS)))


async def terabyte(request: web.Request) -> web.StreamResponse:
    return await _hung_up_after(request, _head(request, TERABYTE), _body(request))


async def terabyte_range(request: web.Request) -> web.StreamResponse:
    start, stop, _ = request.http_range.indices(TERABYTE)
    own = pieces(file_of(request), start, stop)
    left = stop - max(start, min(stop, _size(request)))
    zeros = chain(repeat(ZEROS, left // CHUNK_BYTES), [bytes(left % CHUNK_BYTES)])
    return await _part(request, chain(own, zeros), range(start, stop), TERABYTE)


async def _part(request: web.Request, body: Iterator[bytes], part: range, size: int, tag: str = "") -> web.StreamResponse:
    headers = {hdrs.CONTENT_TYPE: type_of(file_of(request)), hdrs.ACCEPT_RANGES: "bytes"} | ({hdrs.ETAG: tag} if tag else {})
    if hdrs.RANGE not in request.headers:
        return await answered(request, body, headers=headers, length=len(part))
    headers[hdrs.CONTENT_RANGE] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return await answered(request, body, status=206, headers=headers, length=len(part))


async def short_length(request: web.Request) -> web.StreamResponse:
    return await _hung_up_after(request, _head(request, _size(request) // 2), _body(request))


async def long_length(request: web.Request) -> web.StreamResponse:
    return await _hung_up_after(request, _head(request, _size(request) * 2), _body(request))


async def chunked(request: web.Request) -> web.StreamResponse:
    return await _given(request, _body(request))


async def other_range(request: web.Request) -> web.StreamResponse:
    size = _size(request)
    if hdrs.RANGE not in request.headers:
        return await _given(request, _body(request), size)
    other = range(size // 3, size // 3 * 2)
    return await _part(request, pieces(file_of(request), other.start, other.stop), other, size)


async def changing(request: web.Request) -> web.StreamResponse:
    look = _looks(request)
    size = _size(request) - look
    start, stop, _ = request.http_range.indices(size)
    return await _part(request, pieces(file_of(request), start, stop), range(start, stop), size, f'"{look}"')


async def once(request: web.Request) -> web.StreamResponse:
    return await (answered(request, b"", status=503) if _looks(request) == 1 else with_ranges(request))


def _looks(request: web.Request) -> int:
    request.app[SEEN][request.path] += 1
    return request.app[SEEN][request.path]


async def gzip_bomb(request: web.Request) -> web.StreamResponse:
    """Members of a megabyte of blanks each, one after another (RFC 1952, 2.2)."""
    members = repeat(gzip.compress(b" " * BOMB_PART_BYTES), BOMB_PARTS)
    headers = {hdrs.CONTENT_TYPE: "text/html", hdrs.CONTENT_ENCODING: "gzip"}
    return await answered(request, chain([gzip.compress(b"<html><body>")], members), headers=headers)


async def huge_page(request: web.Request) -> web.StreamResponse:
    blanks = repeat(b" " * CHUNK_BYTES, HUGE_BYTES // CHUNK_BYTES)
    return await answered(request, chain([b"<html><body>"], blanks), headers={hdrs.CONTENT_TYPE: "text/html"})


async def many_headers(request: web.Request) -> web.StreamResponse:
    await raw_head(request, b"HTTP/1.1 200 OK\r\n")
    while True:
        await raw(request, b"X-More: " + b"x" * CHUNK_BYTES + b"\r\n")


async def garbage(request: web.Request) -> web.StreamResponse:
    await raw(request, b"\x00\x01\x02 this is no HTTP\r\n\r\n" * 100)
    return hung_up(request)


async def hang_up(request: web.Request) -> web.StreamResponse:
    return hung_up(request)


async def _given(request: web.Request, body: Iterator[bytes] | AsyncIterator[bytes], length: int | None = None) -> web.StreamResponse:
    return await answered(request, body, headers={hdrs.CONTENT_TYPE: type_of(file_of(request))}, length=length)


async def _hung_up_after(request: web.Request, head: bytes, body: Iterator[bytes]) -> web.StreamResponse:
    await _sent_raw(request, head, body)
    return hung_up(request)


async def _sent_raw(request: web.Request, head: bytes, body: Iterator[bytes]) -> None:
    await raw_head(request, head)
    for piece in body:
        await raw(request, piece)


FAULTS: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "slow-headers": slow_headers,
    "slow-body": slow_body,
    "stall": stall,
    "reset": reset_midway,
    "endless": endless,
    "terabyte": terabyte,
    "terabyte-range": terabyte_range,
    "short-length": short_length,
    "long-length": long_length,
    "chunked": chunked,
    "other-range": other_range,
    "changing": changing,
    "gzip-bomb": gzip_bomb,
    "huge-page": huge_page,
    "many-headers": many_headers,
    "garbage": garbage,
    "hang-up": hang_up,
    "once": once,
}
