"""Looks at a file that was just written, by other ways than those that wrote it, and says what is wrong with it."""

from pathlib import Path

from libs.common.domain.failures import Failure
from libs.common.runtime.media import Media
from libs.common.runtime.probe import packets, probe
from libs.common.runtime.telemetry import logger
from services.clipper.cut_plan import CutPlan
from services.clipper.ffmpeg_plan import clip_thumb_command, decode_command, source_thumb_command
from services.clipper.output_checks import Expected, Found, faults, top_level_boxes
from services.clipper.rendering import ClipperContext, encoding, ffmpeg, limits

log = logger(__name__)

MP4 = "mov"


async def expected_of(url: str, media: Media, plan: CutPlan, ctx: ClipperContext) -> Expected:
    """What the plan promises, with the source's own first frame."""
    return Expected(
        duration=plan.duration,
        frames=plan.frames if plan.are_frames_sure else None,
        has_video=plan.has_video,
        has_audio=plan.has_audio,
        first_frame=await _picture(source_thumb_command(url, media, plan, encoding(ctx.settings)), ctx) if plan.has_video else None,
    )


async def verified(name: str, expected: Expected, ctx: ClipperContext) -> tuple[Found | None, tuple[str, ...]]:
    """What was found in the file, and its faults. None was found when it can't even be probed."""
    try:
        found = await look(name, ctx)
    except Failure as failure:
        if failure.retryable:
            raise
        return None, ("it can't be read",)
    wrong = faults(expected, found)
    if wrong:
        log.warning("output failed its verification", file=name, faults=wrong, complaints=found.complaints[-500:])
    return found, wrong


async def look(name: str, ctx: ClipperContext) -> Found:
    """Everything that is checked of a file in the attempt's folder. Raises Failure when it can't be probed."""
    path, bounds, program = ctx.scratch / name, limits(ctx.settings), ctx.settings.ffprobe_bin
    media = await probe(str(path), MP4, program=program, limits=bounds)
    found, _ = await packets(str(path), MP4, program=program, limits=bounds, since=None, enough=lambda _: False)
    picture = media.video_stream.index if media.video_stream else None
    decoded = await ffmpeg(decode_command(name, encoding(ctx.settings)), ctx)
    return Found(
        size=path.stat().st_size,
        duration=media.duration or 0.0,
        frames=tuple(sorted(p.time for p in found if p.stream == picture and p.time is not None and not p.is_hidden)),
        has_video=media.video is not None,
        has_audio=media.audio is not None,
        complaints=decoded.stderr or ("" if decoded.code == 0 else f"exit code {decoded.code}"),
        boxes=_boxes(path),
        first_frame=await _picture(clip_thumb_command(name, encoding(ctx.settings)), ctx) if media.video else None,
    )


def _boxes(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        return tuple(top_level_boxes(file))


async def _picture(command: list[str], ctx: ClipperContext) -> bytes:
    return (await ffmpeg(command, ctx)).stdout
