"""burner: AsrDone -> ClipBurned. Draws the subtitles into the clip's picture, as a second MP4."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction

from libs.common.domain.events import AsrDone, ClipBurned, ClipUploaded
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.media import Media, input_options
from libs.common.runtime.probe import probe
from libs.common.runtime.process import run
from services.clipper.captions import Caption, captions_of_json, captions_of_srt
from services.clipper.ffmpeg_plan import BURNED, CLIP, Encoding, burn_command
from services.clipper.inspected import MOST_STRETCHED
from services.clipper.output_checks import Expected, Sight
from services.clipper.rendering import ClipperContext, encode, limits
from services.clipper.retiming import retimed
from services.clipper.subtitle_files import Shown, write_subtitles
from services.clipper.verification import look, verified

log = logger(__name__)

SIDEWAYS = (90, 270)
HDR_WHITE = {"smpte2084": 0.58, "arib-std-b67": 0.75}
"""Of the curves of HDR, the level of a sheet of white paper (ITU-R BT.2408): full level would be a lamp."""


@dataclass(frozen=True, slots=True)
class Screen:
    """The picture as it is shown: its size in square pixels, whether the file's are others, and the level of white, 1 but for HDR."""

    size: tuple[int, int]
    is_stretched: bool
    white: float


async def burn_subtitles(event: AsrDone, ctx: ClipperContext) -> ClipBurned:
    clip = _clip(ctx)
    key = f"results/{ctx.job_id}/{BURNED}"
    if event.cues == 0 or not clip.has_video:
        return await _unchanged(clip, key, ctx)
    await ctx.objects.results.download(clip.video_key, ctx.scratch / CLIP)
    captions = await _captions(event, ctx)
    await ctx.progress(0.1)
    media = await probe(str(ctx.scratch / CLIP), "mov", program=ctx.settings.ffprobe_bin, limits=limits(ctx.settings))
    screen = await _screen(media, ctx)
    style = ctx.job.requested.subtitle_style if ctx.job.requested else "default"
    shown = Shown(captions, event.language, style, screen.size, screen.white)
    warnings = await asyncio.to_thread(write_subtitles, shown, ctx.settings, ctx.scratch)
    if warnings is None:
        return await _unchanged(clip, key, ctx)
    await _render(media, screen, ctx)
    size = await ctx.objects.results.upload(key, ctx.scratch / BURNED, "video/mp4")
    return ClipBurned(video_key=key, size=size, warnings=warnings)


def _clip(ctx: ClipperContext) -> ClipUploaded:
    if ctx.job.clip is None:
        raise Failure(Code.NOT_FOUND, "the job has no clip")
    return ctx.job.clip


async def _unchanged(clip: ClipUploaded, key: str, ctx: ClipperContext) -> ClipBurned:
    """Nothing to draw: the clip itself, copied where it lies."""
    await ctx.objects.results.copy(clip.video_key, key)
    return ClipBurned(video_key=key, size=clip.size)


async def _captions(event: AsrDone, ctx: ClipperContext) -> tuple[Caption, ...]:
    """Of the JSON, which knows the words' times; jobs from before there was one have an SRT alone."""
    path = ctx.scratch / "subtitles"
    await ctx.objects.results.download(event.json_key or event.srt_key, path)
    if event.json_key:
        return captions_of_json(path.read_bytes())
    return captions_of_srt(path.read_text(encoding="utf-8-sig", errors="replace"))


async def _screen(media: Media, ctx: ClipperContext) -> Screen:
    """By what the clip says of its pixels and its curve."""
    guards = [part for name, value in input_options(CLIP, "mov").items() for part in (f"-{name}", value)]
    entries = ("-select_streams", "v:0", "-show_entries", "stream=sample_aspect_ratio,color_transfer", "-of", "default", "-i", CLIP)
    told = await run([ctx.settings.ffprobe_bin, "-v", "error", *guards, *entries], limits=limits(ctx.settings), cwd=ctx.scratch)
    said = dict(line.split("=", 1) for line in told.stdout.decode(errors="replace").splitlines() if "=" in line)
    stretch = _stretch(said.get("sample_aspect_ratio", ""))
    return Screen(shown_size(media, stretch), stretch != 1, HDR_WHITE.get(said.get("color_transfer", ""), 1.0))


def _stretch(ratio: str) -> Fraction:
    """How much wider than high a pixel is shown: 1 where the file says nothing, or nothing that can be."""
    try:
        stretch = Fraction(ratio.replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        return Fraction(1)
    return stretch if 1 / MOST_STRETCHED <= stretch <= MOST_STRETCHED else Fraction(1)


def shown_size(media: Media, stretch: Fraction = Fraction(1)) -> tuple[int, int]:
    """Width and height in square pixels after rotation: ffmpeg turns the picture before it draws."""
    if media.video is None or media.video_stream is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the clip has no picture")
    size = (round(media.video.width * stretch), media.video.height)
    return size[::-1] if media.video_stream.rotation in SIDEWAYS else size


async def _render(media: Media, screen: Screen, ctx: ClipperContext) -> None:
    """One encode, held to the clip's own frames and length. Raises Failure(OUTPUT_VERIFICATION_FAILED)."""
    clip = await look(CLIP, [], ctx)
    encoding = Encoding(ctx.settings.ffmpeg_bin, ctx.settings.subtitle_crf, ctx.settings.encoder_threads)
    command = burn_command(media, encoding, is_hdr=screen.white < 1, original_size=screen.size if screen.is_stretched else None)
    ended = await encode(command, ctx, seconds=clip.duration)
    if ended.code:
        log.warning("ffmpeg failed", how="burn", code=ended.code, stderr=ended.stderr[-1000:])
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "the subtitles can't be drawn into the clip")
    await retimed(ctx.scratch / BURNED, clip.duration, clip.sound[1] if clip.sound else 0.0)
    expected = Expected(duration=clip.duration, frames=clip.frames, has_video=True, has_audio=clip.has_audio, sights=(Sight(0.0, None),))
    _, faults = await verified(BURNED, expected, ctx)
    if faults:
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, f"the subtitled clip failed its verification: {'; '.join(faults)}")
