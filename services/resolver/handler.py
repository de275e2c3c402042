"""Makes a job's source readable from S3: a URL is fetched (downloads.py); an upload is looked at and held against the caps.

An upload stays where it is and as it is: when it is complete, nobody can write to its key again (services/api/uploads.py).
"""

from libs.common.domain.events import ClipsRequested, SourceReady
from services.resolver.downloads import download_source
from services.resolver.sources import check_picture, check_ranges, check_size
from services.resolver.tools import Resolver
from services.resolver.uploads import container_in, look_into, unless_gone, upload_at


async def resolve_source(event: ClipsRequested, ctx: Resolver) -> SourceReady:
    """Raises Failure. Repeated, it does the same again under the same keys."""
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
    check_ranges(event, look.duration, caps)
    return SourceReady(
        source_key=upload.key,
        size=upload.size,
        container=container.demuxer,
        duration=look.duration,
        video=look.media.video,
        audio=look.media.audio,
    )
