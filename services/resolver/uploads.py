"""Looks at an upload where it lies: is it there, what is it by its first bytes, what does it say of itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import Bucket, ObjectInfo
from libs.common.runtime.probe import Media, media
from libs.common.runtime.process import Limits
from libs.common.runtime.range_server import Served, served
from libs.common.runtime.warm_process import Warm
from services.resolver.described import Describe, Keyframes
from services.resolver.duration import duration_of
from services.resolver.settings import ResolverSettings
from services.resolver.sources import HEAD_BYTES, Container, container_of, is_upload_key, tag_size

PROBE_MEMORY_BYTES = 1 << 30
GONE = "the upload is not there: it was never sent, or was deleted"


@dataclass(frozen=True, slots=True)
class Look:
    """What a file says of itself, its duration in seconds, and the times of keyframes near a range, if one was named."""

    media: Media
    duration: float
    keyframes: tuple[float, ...] = ()


@contextmanager
def unless_gone() -> Iterator[None]:
    """An upload that is deleted while we read it is S3's NOT_FOUND; the client's identifier is not at fault."""
    try:
        yield
    except Failure as failure:
        if failure.code is Code.NOT_FOUND:
            raise Failure(Code.SOURCE_UNREADABLE, GONE) from failure
        raise


async def upload_at(key: str | None, bucket: Bucket) -> ObjectInfo:
    """Raises Failure(SOURCE_UNREADABLE) for what is not there, or is no upload."""
    if key is None or not is_upload_key(key):
        raise Failure(Code.SOURCE_UNREADABLE, "the request names no upload")
    upload = await bucket.head(key)
    if upload is None:
        raise Failure(Code.SOURCE_UNREADABLE, GONE)
    return upload


async def container_in(upload: ObjectInfo, bucket: Bucket) -> Container:
    """Raises Failure(SOURCE_UNREADABLE)."""
    head = await bucket.read(upload.key, 0, HEAD_BYTES, if_match=upload.etag)
    tag = tag_size(head)
    if 0 < tag < upload.size:
        head = await bucket.read(upload.key, tag, tag + HEAD_BYTES, if_match=upload.etag)
    container = container_of(head)
    if container is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source is no video or audio file that this service knows")
    return container


async def look_into(
    upload: ObjectInfo,
    container: Container,
    bucket: Bucket,
    *,
    describer: Warm,
    settings: ResolverSettings,
    around: tuple[float, float] | None = None,
) -> Look:
    """`around` is a range, in seconds of the source, that the keyframes are wanted for. Raises Failure."""
    seconds = settings.probe_timeout_sec
    limits = Limits(wall=seconds, cpu=seconds, memory=PROBE_MEMORY_BYTES, file_size=0)
    async with served(bucket, upload) as source:
        asked = msgspec.json.encode(Describe(source.url, container.demuxer))
        found = media(await describer.ask(asked, limits), container.demuxer)
        duration = await duration_of(source.url, found, program=settings.ffprobe_bin, limits=limits)
        keyframes = await _keyframes(source, found, around, describer, limits) if around and found.video else ()
    return Look(found, duration, keyframes)


async def _keyframes(source: Served, found: Media, around: tuple[float, float], describer: Warm, limits: Limits) -> tuple[float, ...]:
    """In seconds of the source, rising. A hidden one before the first frame shown counts as at 0."""
    start, end = (moment + found.start_time for moment in around)
    asked = msgspec.json.encode(Describe(source.url, found.container, Keyframes(start, end)))
    times = msgspec.json.decode(await describer.ask(asked, limits), type=list[float])
    return tuple(sorted({max(0.0, round(time - found.start_time, 6)) for time in times}))
