"""A multipart request on its way to S3: parsed as it comes, never held in memory. The only file that knows the multipart parser."""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from litestar import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket
from services.api.metrics import uploaded
from services.api.requests import MIB, Refused
from services.api.sources import new_upload_key

log = logger(__name__)

FIELD_LIMIT = 16 * 1024
PARTS_LIMIT = 32
OVERHEAD = MIB
"""Bytes that a request may have beyond its file: fields, part headers and boundaries."""
SILENCE_SECONDS = 60.0
"""A client that sends nothing for so long is not waited for: its upload holds memory here and parts in S3."""

Events = AsyncGenerator[MultipartSegment | bytes | None, None]


class ClientGoneError(Exception):
    """The client left in the middle of its upload; nobody reads an answer."""


@dataclass(slots=True)
class Upload:
    """What a multipart request brought. The file lies in the bucket until somebody discards it."""

    bucket: Bucket
    limit: int
    fields: dict[str, str] = field(default_factory=dict)
    key: str = ""
    digest: Any = field(default_factory=hashlib.sha256)
    """Of the file's bytes: what tells a repeated request from another one."""
    is_used: bool = False

    async def read(self, events: Events) -> None:
        """Take the request to its end. Raises Refused."""
        async for segment in events:
            if isinstance(segment, MultipartSegment):
                await self._take(segment, events)
        if not self.key:
            raise Refused("file", "the part named file is missing")

    async def _take(self, segment: MultipartSegment, events: Events) -> None:
        name = segment.name or ""
        if name == "file":
            await self._take_file(segment, events)
        elif name in self.fields:
            raise Refused(name[:64], "a field was sent twice")
        else:
            self.fields[name] = await _text(name, events)

    async def _take_file(self, segment: MultipartSegment, events: Events) -> None:
        if self.key:
            raise Refused("file", "one request takes one file")
        self.key, began = new_upload_key(uuid4(), segment.filename or ""), time.perf_counter()
        try:
            size = await self.bucket.upload_stream(self.key, self._content(events), _media_type(segment), self.limit)
        except Failure as failure:
            raise _too_large() if failure.code is Code.INPUT_TOO_LARGE else failure from failure
        if size == 0:
            raise Refused("file", "the file is empty")
        uploaded("api", size, time.perf_counter() - began)

    async def _content(self, events: Events) -> AsyncIterator[bytes]:
        async for chunk in _content(events):
            self.digest.update(chunk)
            yield chunk

    @contextmanager
    def used(self) -> Iterator[None]:
        """For who hands it to a job. With the database away the job may yet have been written: then the file stays too."""
        self.is_used = True
        try:
            yield
        except Failure as failure:
            self.is_used = failure.outage is not None
            raise

    async def discard_unused(self) -> None:
        if not self.is_used:
            await self.discard()

    async def discard(self) -> None:
        """Leave nothing behind. What can't be removed now, the janitor sweeps."""
        try:
            await asyncio.shield(self.bucket.delete([self.key] if self.key else []))
        except Failure as failure:
            log.warning("an upload was left behind", key=self.key, error=failure.message)


async def _content(events: Events) -> AsyncIterator[bytes]:
    """The bytes of the part that has just begun, to its end."""
    async for event in events:
        if not isinstance(event, bytes):
            return
        yield event


async def _text(name: str, events: Events) -> str:
    content = bytearray()
    async for chunk in _content(events):
        content += chunk
        if len(content) > FIELD_LIMIT:
            raise Refused(name[:64], "the field is too long", Code.INPUT_TOO_LARGE)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused(name[:64], "the field is not UTF-8 text") from error


def _media_type(segment: MultipartSegment) -> str:
    told = segment.content_type or ""
    return told if re.fullmatch(r"[\w.+-]+/[\w.+-]+", told, re.ASCII) and len(told) <= 127 else "application/octet-stream"  # noqa: PLR2004  RFC 6838


@dataclass(slots=True)
class Body:
    """A request's body as the server hands it over, counted."""

    receive: Callable[[], Awaitable[Any]]
    limit: int
    taken: int = 0
    ended: bool = False

    async def read(self, _size: int = -1) -> bytes:
        """The next bytes, none at the end. Raises ClientGoneError, and Refused beyond the limit."""
        while not self.ended:
            message = await self._message()
            chunk: bytes = message.get("body", b"")
            self.ended = not message.get("more_body", False)
            self.taken += len(chunk)
            if self.taken > self.limit:
                raise _too_large()
            if chunk:
                return chunk
        return b""

    async def _message(self) -> Any:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await self.receive()
        except TimeoutError as error:
            raise Refused(None, f"nothing came for {SILENCE_SECONDS:g} s", Code.BAD_REQUEST) from error
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return message


@asynccontextmanager
async def received(request: Request[Any, Any, Any], bucket: Bucket, largest: int) -> AsyncIterator[Upload]:
    """The request's upload, in the bucket; removed again when it is broken off, or refused inside the block. Sizes in bytes."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest + OVERHEAD:
        raise _too_large()  # before a byte of it is read
    body, upload = Body(request.receive, largest + OVERHEAD), Upload(bucket, largest)
    try:
        await upload.read(_parts(body, request.headers.get("content-type", "")))
        yield upload
    except BaseException:
        await upload.discard()
        raise


def _too_large() -> Refused:
    return Refused("file", "the file is larger than this service takes", Code.INPUT_TOO_LARGE)


async def _parts(body: Body, content_type: str) -> Events:
    """The parser's events: a segment, its bytes, None at its end. Raises Refused for what is no multipart form."""
    kind, options = parse_options_header(content_type)  # type: ignore[no-untyped-call]
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise Refused(None, "send the fields and the file as multipart/form-data", Code.BAD_REQUEST)
    try:
        parser = PushMultipartParser(options["boundary"], max_segment_count=PARTS_LIMIT)
        async with aclosing(parser.parse_async(body.read)) as events:
            async for event in events:
                yield event
    except MultipartError as error:
        raise Refused(None, f"the multipart body can't be read: {error}", Code.BAD_REQUEST) from error
