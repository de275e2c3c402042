"""clipper: SourceReady -> ClipUploaded. Cuts the range out of the source, verifies the clip, uploads it, and makes its other forms."""

import asyncio

from msgspec.structs import replace

from libs.common.domain.events import ClipsRequested, ClipUploaded, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Notice
from libs.common.runtime.logs import logger
from services.clipper.buffers import kept
from services.clipper.clip import Clip
from services.clipper.cutting import cut
from services.clipper.ffmpeg_plan import CLIP
from services.clipper.joining import joined
from services.clipper.metrics import CUTS
from services.clipper.rendering import ClipperContext, part_of
from services.clipper.rendition_plan import ORIGINAL
from services.clipper.renditions import renditions_of
from services.clipper.source import opened_source

log = logger(__name__)

ALL_MADE = 0.85
"""Of an attempt's time, which all that it does shares: when the last of a clip's other forms must be made, to be uploaded too."""
POSTER = "thumb.jpg"
NO_POSTER = Notice("THUMBNAIL_FAILED", "No poster picture could be made of the clip; the clip itself is whole.")


async def cut_clip(event: SourceReady, ctx: ClipperContext) -> ClipUploaded:
    deadline = asyncio.get_running_loop().time() + ctx.settings.clip_max_runtime_sec * ALL_MADE
    requested = _requested(ctx)
    cutting = 1 / (1 + len(requested.presets))
    clip, uploaded = await _cut(event, requested, part_of(ctx, 0.0, cutting))
    if not requested.presets:
        return uploaded
    made, warnings = await renditions_of(clip, requested, part_of(ctx, cutting, 1.0), deadline=deadline)
    return replace(uploaded, renditions=made, warnings=(*uploaded.warnings, *warnings))


def _requested(ctx: ClipperContext) -> ClipsRequested:
    if ctx.job.requested is None:
        raise Failure(Code.NOT_FOUND, "no such job")
    return ctx.job.requested


async def _cut(event: SourceReady, requested: ClipsRequested, ctx: ClipperContext) -> tuple[Clip, ClipUploaded]:
    if requested.segments:
        clip = await joined(event, requested, ctx)
        return clip, await _uploaded(clip, requested, ctx)
    async with opened_source(ctx.objects.sources, event, ctx.settings) as source:
        clip = await cut(source, requested, ctx)
        log.info("cut", path=clip.path, reason=clip.reason, seconds=clip.duration, bytes_read=source.bytes_read)
        return clip, await _uploaded(clip, requested, ctx)


async def _uploaded(clip: Clip, requested: ClipsRequested, ctx: ClipperContext) -> ClipUploaded:
    """CLIP and its poster in S3; where other forms of it are wanted, it stays here too, as ORIGINAL."""
    CUTS.labels(clip.path, clip.reason).inc()
    await ctx.progress(0.9)
    folder = f"results/{ctx.job_id}"
    uploads = [ctx.objects.results.upload(f"{folder}/{CLIP}", ctx.scratch / CLIP, "video/mp4")]
    if clip.poster:
        uploads.append(ctx.objects.results.put(f"{folder}/{POSTER}", clip.poster, "image/jpeg"))
    size, *_ = await asyncio.gather(*uploads)
    if requested.presets:
        await kept(ctx.scratch / CLIP, ctx.scratch / ORIGINAL)
    return ClipUploaded(
        video_key=f"{folder}/{CLIP}",
        size=size,
        duration=round(clip.duration, 6),
        actual_start=round(clip.start, 6),
        actual_end=round(clip.end, 6),
        cut_path=clip.path,
        cut_reason=clip.reason,
        has_video=clip.has_video,
        has_audio=clip.has_audio,
        thumbnail_key=f"{folder}/{POSTER}" if clip.poster else None,
        warnings=(NO_POSTER,) if clip.has_video and not clip.poster else (),
    )
