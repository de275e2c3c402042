"""clipper: SourceReady -> ClipUploaded. Cuts the range out of the source, verifies the clip, uploads it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from libs.common.domain.events import ClipsRequested, ClipUploaded, CutPath, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import Media
from libs.common.runtime.probe import probe
from libs.common.runtime.range_server import Served, served
from libs.common.runtime.telemetry import logger
from services.clipper.cut_plan import CutPlan, cut_plan, wanted
from services.clipper.ffmpeg_plan import CLIP, cut_command
from services.clipper.frames import PacketIndex, Wanted
from services.clipper.metrics import CUTS, SOURCE_BYTES
from services.clipper.output_checks import Found
from services.clipper.rendering import ClipperContext, encode, encoding, ffmpeg, limits
from services.clipper.source_index import packet_index
from services.clipper.verification import expected_of, verified

log = logger(__name__)

RENDERED = 0.8
"""The part of the work that is done when the clip is written; verification and upload are the rest."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A verified clip in the attempt's folder."""

    plan: CutPlan
    path: CutPath
    found: Found


@dataclass(frozen=True, slots=True)
class Reading:
    """A source that is being read: where, what it holds, and its packets around the range."""

    source: Served
    media: Media
    index: PacketIndex
    want: Wanted


async def cut_clip(event: SourceReady, ctx: ClipperContext) -> ClipUploaded:
    requested = _requested(ctx)
    async with _source(event, ctx) as source:
        reading = await _read(source, event, requested, ctx)
        clip = await _cut(reading, requested, ctx)
    await ctx.progress(0.9)
    key = f"results/{ctx.job_id}/{CLIP}"
    size = await ctx.objects.results.upload(key, ctx.scratch / CLIP, "video/mp4")
    return _uploaded(key, size, clip, reading)


def _requested(ctx: ClipperContext) -> ClipsRequested:
    if ctx.job.requested is None:
        raise Failure(Code.NOT_FOUND, "no such job")
    return ctx.job.requested


@asynccontextmanager
async def _source(event: SourceReady, ctx: ClipperContext) -> AsyncIterator[Served]:
    """The source at a loopback URL. Raises S3's failure where there was one, whatever ffmpeg made of it."""
    info = await ctx.objects.sources.head(event.source_key)
    if info is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source is no longer stored")
    async with served(ctx.objects.sources, info) as source:
        try:
            yield source
        finally:
            SOURCE_BYTES.inc(source.bytes_read)


async def _read(source: Served, event: SourceReady, requested: ClipsRequested, ctx: ClipperContext) -> Reading:
    media = await probe(source.url, event.container, program=ctx.settings.ffprobe_bin, limits=limits(ctx.settings))
    want = wanted(media, requested.start, requested.end)
    return Reading(source, media, await packet_index(source.url, media, want, ctx.settings), want)


async def _cut(reading: Reading, requested: ClipsRequested, ctx: ClipperContext) -> Clip:
    """The planned way; when a copy fails its verification, a re-encode."""
    plan = cut_plan(reading.media, reading.index, reading.want, requested.accuracy)
    found, faults = await _rendered(reading, plan, ctx)
    path: CutPath = plan.how
    if faults and plan.how == "copy":
        path, plan = "fallback", cut_plan(reading.media, reading.index, reading.want, requested.accuracy, may_copy=False)
        found, faults = await _rendered(reading, plan, ctx)
    if faults or found is None:
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, f"the clip failed its verification: {'; '.join(faults)}")
    log.info("cut", path=path, reason=plan.reason, frames=len(plan.frames), bytes_read=reading.source.bytes_read)
    CUTS.labels(path).inc()
    return Clip(plan, path, found)


async def _rendered(reading: Reading, plan: CutPlan, ctx: ClipperContext) -> tuple[Found | None, tuple[str, ...]]:
    """The clip written as planned, and its faults. Raises S3's failure when that is what is behind them."""
    command = cut_command(reading.source.url, reading.media, plan, encoding(ctx.settings))
    render = ffmpeg if plan.how == "copy" else encode
    ended = await render(command, ctx, seconds=plan.duration, upto=RENDERED)
    if ended.code:
        log.warning("ffmpeg failed", how=plan.how, code=ended.code, stderr=ended.stderr[-1000:])
        result: tuple[Found | None, tuple[str, ...]] = (None, ("it can't be written",))
    else:
        result = await verified(CLIP, await expected_of(reading.source.url, reading.media, plan, ctx), ctx)
    if result[1] and reading.source.failure:
        raise reading.source.failure
    return result


def _uploaded(key: str, size: int, clip: Clip, reading: Reading) -> ClipUploaded:
    return ClipUploaded(
        video_key=key,
        size=size,
        duration=round(clip.found.duration, 6),
        actual_start=round(clip.plan.origin - reading.media.start_time, 6),
        actual_end=round(clip.plan.end - reading.media.start_time, 6),
        cut_path=clip.path,
        has_video=clip.found.has_video,
        has_audio=clip.found.has_audio,
    )
