"""A job's source: its bytes straight from S3, and, only when a program is to read it, a loopback URL and what ffprobe says of it."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

from libs.common.domain.events import SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import Media
from libs.common.runtime.object_store import Bucket, ObjectInfo
from libs.common.runtime.probe import probe
from libs.common.runtime.range_server import Served, served
from services.clipper.metrics import SOURCE_BYTES
from services.clipper.mp4.moov_search import FIRST_READ
from services.clipper.rendering import limits
from services.clipper.settings import ClipperSettings

T = TypeVar("T")


class Source:
    """Its bytes, counted. Raises S3's Failure wherever S3 fails."""

    def __init__(
        self, bucket: Bucket, begun: tuple[ObjectInfo, bytes], event: SourceReady, settings: ClipperSettings, stack: AsyncExitStack
    ) -> None:
        self.info, self._first = begun
        self.container = event.container
        self._clock_offset = event.clock_offset
        self._bucket = bucket
        self._settings = settings
        self._stack = stack
        self._served: Served | None = None
        self._media: Media | None = None
        self._bytes = len(self._first)

    @property
    def bytes_read(self) -> int:
        return self._bytes + (self._served.bytes_read if self._served else 0)

    @property
    def failure(self) -> Failure | None:
        """What S3 answered to a program, whatever the program made of it."""
        return self._served.failure if self._served else None

    def zero(self, start_time: float) -> float:
        """The source's 0:00 on the file's clock: where the file starts, but for a section, whose fetcher knows."""
        return start_time if self._clock_offset is None else -self._clock_offset

    def keep(self, lent: AbstractContextManager[T]) -> T:
        """Something that is needed as long as the source."""
        return self._stack.enter_context(lent)

    async def read(self, part: range) -> bytes:
        return b"".join([chunk async for chunk in self.stream(part)])

    async def stream(self, part: range) -> AsyncIterator[bytes]:
        if part.stop <= len(self._first):
            yield self._first[part.start : part.stop]
            return
        async with aclosing(self._bucket.stream(self.info.key, part.start, part.stop, if_match=self.info.etag)) as chunks:
            async for chunk in chunks:
                self._bytes += len(chunk)
                yield chunk

    async def url(self) -> str:
        """Where a program of this machine can read it while the job lasts."""
        if self._served is None:
            self._served = await self._stack.enter_async_context(served(self._bucket, self.info))
        return self._served.url

    async def media(self) -> Media:
        if self._media is None:
            program = self._settings.ffprobe_bin
            self._media = await probe(await self.url(), self.container, program=program, limits=limits(self._settings))
        return self._media


@asynccontextmanager
async def opened_source(bucket: Bucket, event: SourceReady, settings: ClipperSettings) -> AsyncIterator[Source]:
    """The source as it is now. Raises Failure(SOURCE_UNREADABLE) when it is gone."""
    begun = await bucket.begin(event.source_key, FIRST_READ)
    if begun is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source is no longer stored")
    async with AsyncExitStack() as stack:
        source = Source(bucket, begun, event, settings, stack)
        try:
            yield source
        finally:
            SOURCE_BYTES.inc(source.bytes_read)
