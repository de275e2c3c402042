"""Makes a job's source readable from S3: an upload is looked at, held against the caps, and pinned where its sender can't change it."""

from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import msgspec

from libs.common.domain.events import ClipsRequested, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from libs.common.runtime.object_store import Bucket, ObjectInfo
from libs.common.runtime.probe import Media, media
from libs.common.runtime.process import Limits
from libs.common.runtime.range_server import served
from libs.common.runtime.warm_process import Warm, open_warm
from services.resolver.described import Describe
from services.resolver.duration import duration_of
from services.resolver.settings import ResolverSettings
from services.resolver.sources import (
    HEAD_BYTES,
    Container,
    check_picture,
    check_size,
    check_times,
    container_of,
    is_upload_key,
    source_key,
    tag_size,
)

Resolver: TypeAlias = Context[ResolverSettings, Warm]

PROBE_MEMORY_BYTES = 1 << 30
GONE = "the upload is not there: it was never sent, or was deleted"
REPLACED = "the upload was replaced while it was read"


def open_describer(settings: ResolverSettings) -> AbstractAsyncContextManager[Warm]:
    """A worker for each job in hand, started at need: most of a look is waiting for S3."""
    return open_warm("services.resolver.description", workers=settings.worker_max_concurrency)


async def resolve_source(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    """Raises Failure. Repeated, it does the same again under the same key."""
    if event.source_type != "upload":
        raise Failure(Code.YTDLP_DISABLED, "sources by URL are switched off; upload the file")
    try:
        return await _resolved(event, ctx)
    except Failure as failure:
        if failure.code is Code.NOT_FOUND:  # S3's word; the client's identifier is not at fault
            raise Failure(Code.SOURCE_UNREADABLE, GONE) from failure
        raise


async def _resolved(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    caps = ctx.settings.caps
    upload = await _upload(event, ctx.objects.sources)
    check_size(upload.size, caps)
    container = await _container(upload, ctx.objects.sources)
    await ctx.progress(0.2)
    found, duration = await _probed(upload, container, ctx)
    check_picture(found.video)
    check_times(event.start, event.end, duration, caps)
    await ctx.progress(0.6)
    key = source_key(ctx.job_id, container)
    await _pin(upload, key, ctx.objects.sources)
    return SourceReady(
        source_key=key, size=upload.size, container=container.demuxer, duration=duration, video=found.video, audio=found.audio
    )


async def _upload(event: ClipsRequested, bucket: Bucket) -> ObjectInfo:
    if event.upload_key is None or not is_upload_key(event.upload_key):
        raise Failure(Code.SOURCE_UNREADABLE, "the request names no upload")
    upload = await bucket.head(event.upload_key)
    if upload is None:
        raise Failure(Code.SOURCE_UNREADABLE, GONE)
    return upload


async def _container(upload: ObjectInfo, bucket: Bucket) -> Container:
    head = await bucket.read(upload.key, 0, HEAD_BYTES, if_match=upload.etag)
    tag = tag_size(head)
    if 0 < tag < upload.size:
        head = await bucket.read(upload.key, tag, tag + HEAD_BYTES, if_match=upload.etag)
    container = container_of(head)
    if container is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source is no video or audio file that this service knows")
    return container


async def _probed(upload: ObjectInfo, container: Container, ctx: Resolver) -> tuple[Media, float]:
    """What the file says of itself, and its duration in seconds."""
    seconds = ctx.settings.probe_timeout_sec
    limits = Limits(wall=seconds, cpu=seconds, memory=PROBE_MEMORY_BYTES, file_size=0)
    async with served(ctx.objects.sources, upload) as source:
        asked = msgspec.json.encode(Describe(source.url, container.demuxer))
        found = media(await ctx.tools.ask(asked, limits), container.demuxer)
        return found, await duration_of(source.url, found, program=ctx.settings.ffprobe_bin, limits=limits)


async def _pin(upload: ObjectInfo, key: str, bucket: Bucket) -> None:
    """Copy inside S3. A signed PUT can be used again: what was looked at must be what was copied."""
    await bucket.copy(upload.key, key, if_match=upload.etag)
    copied, now = await bucket.head(key), await bucket.head(upload.key)
    if copied is None or copied.size != upload.size or now is None or now.etag != upload.etag:
        raise Failure(Code.RETRYABLE_ERROR, REPLACED)
