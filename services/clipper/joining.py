"""Several segments as one clip: each is cut by itself, then all are joined by one encode and compared with what was cut."""

import asyncio
import shutil
from dataclasses import replace

from msgspec import structs

from libs.common.domain.events import ClipsRequested, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Segment
from libs.common.runtime.logs import logger
from services.clipper.buffers import kept
from services.clipper.clip import Clip
from services.clipper.cutting import cut
from services.clipper.ffmpeg_plan import CLIP
from services.clipper.inspected import Inspected
from services.clipper.join_plan import Coding, Part, expected_join, join_command, most_parts, part_name, slot, source_of, too_many
from services.clipper.output_checks import Sight
from services.clipper.rendering import ClipperContext, encode, encoding, limits, part_of
from services.clipper.retiming import retimed
from services.clipper.source import opened_source
from services.clipper.splice_plan import Reason
from services.clipper.tone_map import HDR
from services.clipper.verification import inspected, unverified, verified

log = logger(__name__)

CUTTING = 0.4
"""The part of the work that is done when all segments are cut."""
PARTS_CRF = 12
"""What is encoded twice is encoded well the first time."""


async def joined(event: SourceReady, requested: ClipsRequested, ctx: ClipperContext) -> Clip:
    """Writes CLIP. Raises Failure(OUTPUT_VERIFICATION_FAILED), and whatever a segment fails for, with its number."""
    count = len(requested.segments)
    steps = [part_of(ctx, CUTTING * n / count, CUTTING * (n + 1) / count) for n in range(count)]
    clips = [await _segment(event, requested, n, step) for n, step in enumerate(steps)]
    seen = [await inspected(part_name(n), _edges(clip), ctx, upright=True) for n, clip in enumerate(clips)]
    parts, coding = [_part(n, clip, requested.segments, seen[n]) for n, clip in enumerate(clips)], _coding(seen)
    largest = max(one.width * one.height for one in seen)
    if largest and count > (most := most_parts(largest, limits(ctx.settings).memory or 0, is_hdr=coding.is_hdr)):
        raise too_many(most)
    return await _join(parts, clips, coding, part_of(ctx, CUTTING, 1.0))


async def _segment(event: SourceReady, requested: ClipsRequested, number: int, ctx: ClipperContext) -> Clip:
    segment, folder = requested.segments[number], ctx.scratch / f"segment-{number}"
    folder.mkdir()
    try:
        return await _cut_alone(source_of(event, segment), _alone(requested, segment), number, replace(ctx, folder=lambda: folder), ctx)
    except Failure as failure:
        if failure.retryable or failure.code is Code.INTERNAL:
            raise
        raise Failure(failure.code, f"segment {number + 1}: {failure.message}", hint=failure.own_hint) from failure
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _alone(requested: ClipsRequested, segment: Segment) -> ClipsRequested:
    return structs.replace(requested, start=segment.start, end=segment.end, segments=(), accuracy="exact")


async def _cut_alone(event: SourceReady, alone: ClipsRequested, number: int, inside: ClipperContext, ctx: ClipperContext) -> Clip:
    """Its sound is encoded: packets that are copied fade in, which would be heard where it is joined to the one before."""
    settings = structs.replace(ctx.settings, encoder_crf=min(ctx.settings.encoder_crf, PARTS_CRF))
    async with opened_source(ctx.objects.sources, event, ctx.settings) as source:
        clip = await cut(source, alone, replace(inside, settings=settings), copies_sound=False)
        log.info("cut", path=clip.path, reason=clip.reason, seconds=clip.duration, bytes_read=source.bytes_read, segment=number + 1)
        await kept(inside.scratch / CLIP, ctx.scratch / part_name(number))
        return clip


def _edges(clip: Clip) -> list[float]:
    return [clip.frames[0], clip.frames[-1]] if clip.frames else []


def _part(number: int, clip: Clip, segments: tuple[Segment, ...], seen: Inspected) -> Part:
    is_last = number + 1 == len(segments)
    return Part(
        name=part_name(number),
        length=slot(clip.start, clip.end, clip.frames, segments[number], is_last=is_last),
        frames=clip.frames,
        has_audio=clip.has_audio,
        sights=tuple(Sight(at, looked.picture or b"") for at, looked in zip(_edges(clip), seen.looks, strict=True)),
    )


def _coding(seen: list[Inspected]) -> Coding:
    is_even = not any(one.width % 2 or one.height % 2 for one in seen)
    return Coding(any(one.transfer in HDR for one in seen), max(one.channels for one in seen), is_even)


async def _join(parts: list[Part], clips: list[Clip], coding: Coding, ctx: ClipperContext) -> Clip:
    expected = expected_join(parts)
    ended = await encode(join_command(parts, coding, encoding(ctx.settings)), ctx, seconds=expected.duration)
    for part in parts:
        (ctx.scratch / part.name).unlink()
    if ended.code:
        log.warning("ffmpeg failed", how="join", code=ended.code, stderr=ended.stderr[-1000:])
        raise unverified(("its segments can't be joined",))
    if expected.has_video:
        await retimed(ctx.scratch / CLIP, expected.duration, expected.duration)
    found, faults = await verified(CLIP, expected, ctx, upright=True, poster=True)
    if faults:
        raise unverified(faults)
    return Clip(
        path="reencode",
        reason=Reason.JOINED,
        start=clips[0].start,
        end=clips[-1].end,
        duration=expected.duration,
        has_video=found.has_video,
        has_audio=found.has_audio,
        frames=found.frames,
        poster=found.poster,
    )
