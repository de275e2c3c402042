"""Looks at a file that was just written, by another way than those that wrote it, and says what is wrong with it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.media import Media
from services.clipper.cut_plan import CutPlan
from services.clipper.ffmpeg_plan import source_thumb_command
from services.clipper.inspected import Form, Inspect, Inspected, Look
from services.clipper.output_checks import Expected, Found, Sight, faults, top_level_boxes
from services.clipper.rendering import ClipperContext, encoding, ffmpeg, limits

log = logger(__name__)


async def expected_of(url: str, media: Media, plan: CutPlan, ctx: ClipperContext) -> Expected:
    """What the plan promises, with the source's own first frame."""
    return Expected(
        duration=plan.duration,
        frames=plan.frames if plan.are_frames_sure else None,
        has_video=plan.has_video,
        has_audio=plan.has_audio,
        sights=(Sight(0.0, await _first_frame(url, media, plan, ctx)),) if plan.has_video else (),
    )


async def _first_frame(url: str, media: Media, plan: CutPlan, ctx: ClipperContext) -> bytes:
    return (await ffmpeg(source_thumb_command(url, media, plan, encoding(ctx.settings)), ctx)).stdout


async def verified(
    name: str, expected: Expected, ctx: ClipperContext, *, upright: bool = False, poster: bool = False
) -> tuple[Found, tuple[str, ...]]:
    """What was found in the file, with a poster of it where one is wanted, and its faults."""
    found = await look(name, [sight.at for sight in expected.sights], ctx, upright=upright, poster=poster)
    wrong = faults(expected, found)
    if wrong:
        log.warning("output failed its verification", file=name, faults=wrong, complaints=found.complaints[-500:])
    return found, wrong


def unverified(wrong: Sequence[str]) -> Failure:
    return Failure(Code.OUTPUT_VERIFICATION_FAILED, f"the clip failed its verification: {'; '.join(wrong)}")


async def look(name: str, at: Sequence[float], ctx: ClipperContext, *, upright: bool = False, poster: bool = False) -> Found:
    """Everything that is checked of a file in the attempt's folder, seen at these seconds; `upright`: as a player turns it."""
    return found_in(await inspected(name, at, ctx, upright=upright, poster=poster), ctx.scratch / name)


async def inspected(
    name: str, at: Sequence[float], ctx: ClipperContext, *, upright: bool = False, poster: bool = False, form: Form = "mov"
) -> Inspected:
    """What an inspection tells of a file. Without a poster, if it was the poster that it did not survive. Raises Failure."""
    path = str((ctx.scratch / name).absolute())
    asked = Inspect(path, tuple(Look(second, 1, upright) for second in at), poster, form)
    try:
        answer = await ctx.tools.inspection.ask(msgspec.json.encode(asked), limits(ctx.settings))
    except Failure as failure:
        if not poster:
            raise
        log.warning("inspected without a poster", file=name, reason=failure.message)
        return await inspected(name, at, ctx, upright=upright, form=form)
    return msgspec.json.decode(answer, type=Inspected)


def found_in(told: Inspected, path: Path) -> Found:
    """What the inspection told of the file, and what the file shows by itself."""
    return Found(
        size=path.stat().st_size,
        duration=told.duration,
        frames=told.video,
        begins_with_keyframe=told.first_is_key,
        is_monotonic=told.is_monotonic,
        has_video=told.has_video,
        has_audio=told.has_audio,
        complaints=told.complaints,
        boxes=_boxes(path),
        sights=tuple(looked.picture for looked in told.looks),
        sound=told.audio,
        picture_size=(told.width, told.height),
        poster=told.poster,
    )


def _boxes(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        return tuple(top_level_boxes(file))
