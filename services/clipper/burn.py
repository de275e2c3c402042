"""burner: AsrDone -> ClipBurned. Draws the subtitles into the clip's picture, as a second MP4."""

import asyncio

from libs.common.domain.events import AsrDone, ClipBurned, ClipUploaded
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import both
from libs.common.runtime.logs import logger
from services.clipper.captions import Caption, captions_of_json, captions_of_srt
from services.clipper.ffmpeg_plan import BURNED, CLIP, Encoding, burn_command
from services.clipper.inspected import Inspected, believable, shown_size
from services.clipper.output_checks import Expected, Sight
from services.clipper.rendering import ClipperContext, encode
from services.clipper.retiming import retimed
from services.clipper.subtitle_files import Shown, write_subtitles
from services.clipper.tone_map import HLG, PQ
from services.clipper.verification import inspected, verified

log = logger(__name__)

HDR_WHITE = {PQ: 0.58, HLG: 0.75}
"""Of the curves of HDR, the level of a sheet of white paper (ITU-R BT.2408): full level would be a lamp."""


async def burn_subtitles(event: AsrDone, ctx: ClipperContext) -> ClipBurned:
    clip = _clip(ctx)
    key = f"results/{ctx.job_id}/{BURNED}"
    if event.cues == 0 or not clip.has_video:
        return await _unchanged(clip, key, ctx)
    _, captions = await both(ctx.objects.results.download(clip.video_key, ctx.scratch / CLIP), _captions(event, ctx))
    await ctx.progress(0.1)
    told = await _seen(ctx)
    style = ctx.job.requested.subtitle_style if ctx.job.requested else "default"
    shown = Shown(captions, event.language, style, shown_size(told), HDR_WHITE.get(told.transfer, 1.0))
    warnings = await asyncio.to_thread(write_subtitles, shown, ctx.settings, ctx.scratch)
    if warnings is None:
        return await _unchanged(clip, key, ctx)
    await _render(told, ctx)
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


async def _seen(ctx: ClipperContext) -> Inspected:
    """The clip, with a look at its first picture, at zero, which tells how it is shown. Raises Failure."""
    told = await inspected(CLIP, [0.0], ctx)
    if not told.video:
        raise Failure(Code.SOURCE_UNREADABLE, "the clip has no picture that can be read")
    return told


async def _render(clip: Inspected, ctx: ClipperContext) -> None:
    """One encode, held to the clip's own frames and length. Raises Failure(OUTPUT_VERIFICATION_FAILED)."""
    encoding = Encoding(ctx.settings.ffmpeg_bin, ctx.settings.subtitle_crf, ctx.settings.encoder_threads)
    size = None if believable(clip.stretch) == 1 else shown_size(clip)
    command = burn_command(clip.timescale, encoding, has_audio=clip.has_audio, is_hdr=clip.transfer in HDR_WHITE, original_size=size)
    ended = await encode(command, ctx, seconds=clip.duration)
    if ended.code:
        log.warning("ffmpeg failed", how="burn", code=ended.code, stderr=ended.stderr[-1000:])
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "the subtitles can't be drawn into the clip")
    await retimed(ctx.scratch / BURNED, clip.duration, clip.audio[1] if clip.audio else 0.0)
    expected = Expected(duration=clip.duration, frames=clip.video, has_video=True, has_audio=clip.has_audio, sights=(Sight(0.0, None),))
    _, faults = await verified(BURNED, expected, ctx)
    if faults:
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, f"the subtitled clip failed its verification: {'; '.join(faults)}")
