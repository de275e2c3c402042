"""Makes a job's source readable from S3: a URL is fetched (downloads.py); an upload is looked at, held against the caps, and pinned where
its sender can't change it."""

from libs.common.domain.events import ClipsRequested, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import Bucket, ObjectInfo
from services.resolver.downloads import download_source
from services.resolver.sources import check_picture, check_size, check_times, source_key
from services.resolver.tools import Resolver
from services.resolver.uploads import container_in, look_into, unless_gone, upload_at

REPLACED = "the upload was replaced while it was read"


async def resolve_source(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    """Raises Failure. Repeated, it does the same again under the same key."""
    if event.source_type != "upload":
        return await download_source(event, ctx)
    with unless_gone():
        return await _resolved(event, ctx)


async def _resolved(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    caps, bucket = ctx.settings.caps, ctx.objects.sources
    upload = await upload_at(event.upload_key, bucket)
    check_size(upload.size, caps)
    container = await container_in(upload, bucket)
    await ctx.progress(0.2)
    look = await look_into(upload, container, bucket, describer=ctx.tools.describer, settings=ctx.settings)
    check_picture(look.media.video)
    check_times(event.start, event.end, look.duration, caps)
    await ctx.progress(0.6)
    key = source_key(ctx.job_id, container)
    await _pin(upload, key, bucket)
    return SourceReady(
        source_key=key,
        size=upload.size,
        container=container.demuxer,
        duration=look.duration,
        video=look.media.video,
        audio=look.media.audio,
    )


async def _pin(upload: ObjectInfo, key: str, bucket: Bucket) -> None:
    """Copy inside S3. A signed PUT can be used again: what was looked at must be what was copied."""
    await bucket.copy(upload.key, key, if_match=upload.etag)
    copied, now = await bucket.head(key), await bucket.head(upload.key)
    if copied is None or copied.size != upload.size or now is None or now.etag != upload.etag:
        raise Failure(Code.RETRYABLE_ERROR, REPLACED)
