"""burner: AsrDone -> ClipBurned. Draws the subtitles into the clip's picture, as a second MP4."""

from libs.common.domain.events import AsrDone, ClipBurned, ClipUploaded
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import Media
from libs.common.runtime.probe import probe
from libs.common.runtime.telemetry import logger
from services.clipper.ffmpeg_plan import BURNED, CLIP, FONTS, SUBTITLES, burn_command
from services.clipper.output_checks import Expected, Sight
from services.clipper.rendering import ClipperContext, encode, encoding, limits
from services.clipper.settings import ClipperSettings
from services.clipper.subtitle_style import Look, ass
from services.clipper.verification import look, verified

log = logger(__name__)

SRT = "clip.srt"
SIDEWAYS = (90, 270)


async def burn_subtitles(event: AsrDone, ctx: ClipperContext) -> ClipBurned:
    clip = _clip(ctx)
    key = f"results/{ctx.job_id}/{BURNED}"
    if event.cues == 0 or not clip.has_video:
        return await _unchanged(clip, key, ctx)
    await _download(event, clip, ctx)
    media = await probe(str(ctx.scratch / CLIP), "mov", program=ctx.settings.ffprobe_bin, limits=limits(ctx.settings))
    if not _write_subtitles(media, ctx):
        return await _unchanged(clip, key, ctx)
    await _render(media, ctx)
    size = await ctx.objects.results.upload(key, ctx.scratch / BURNED, "video/mp4")
    return ClipBurned(video_key=key, size=size)


def _clip(ctx: ClipperContext) -> ClipUploaded:
    if ctx.job.clip is None:
        raise Failure(Code.NOT_FOUND, "the job has no clip")
    return ctx.job.clip


async def _unchanged(clip: ClipUploaded, key: str, ctx: ClipperContext) -> ClipBurned:
    """Nothing to draw: the clip itself, copied where it lies."""
    await ctx.objects.results.copy(clip.video_key, key)
    return ClipBurned(video_key=key, size=clip.size)


async def _download(event: AsrDone, clip: ClipUploaded, ctx: ClipperContext) -> None:
    await ctx.objects.results.download(clip.video_key, ctx.scratch / CLIP)
    await ctx.objects.results.download(event.srt_key, ctx.scratch / SRT)
    await ctx.progress(0.1)


def _write_subtitles(media: Media, ctx: ClipperContext) -> bool:
    """SUBTITLES for the picture as it is shown, and FONTS beside it; False when nothing is left to draw."""
    srt = (ctx.scratch / SRT).read_text(encoding="utf-8-sig", errors="replace")
    text = ass(srt, _look(ctx.settings), *shown_size(media))
    if text is None:
        return False
    (ctx.scratch / SUBTITLES).write_text(text, encoding="utf-8")
    if ctx.settings.fonts_dir:
        (ctx.scratch / FONTS).symlink_to(ctx.settings.fonts_dir.resolve())
    return True


def _look(settings: ClipperSettings) -> Look:
    return Look(settings.subtitle_font, settings.subtitle_size, settings.subtitle_outline, settings.subtitle_margin)


def shown_size(media: Media) -> tuple[int, int]:
    """Width and height in pixels after rotation: ffmpeg turns the picture before it draws."""
    if media.video is None or media.video_stream is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the clip has no picture")
    size = (media.video.width, media.video.height)
    return size[::-1] if media.video_stream.rotation in SIDEWAYS else size


async def _render(media: Media, ctx: ClipperContext) -> None:
    """One encode, held to the clip's own frames and length. Raises Failure(OUTPUT_VERIFICATION_FAILED)."""
    clip = await look(CLIP, [], ctx)
    command = burn_command(media, encoding(ctx.settings), has_fonts=ctx.settings.fonts_dir is not None)
    ended = await encode(command, ctx, seconds=clip.duration)
    if ended.code:
        log.warning("ffmpeg failed", how="burn", code=ended.code, stderr=ended.stderr[-1000:])
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "the subtitles can't be drawn into the clip")
    expected = Expected(duration=clip.duration, frames=clip.frames, has_video=True, has_audio=clip.has_audio, sights=(Sight(0.0, None),))
    _, faults = await verified(BURNED, expected, ctx)
    if faults:
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, f"the subtitled clip failed its verification: {'; '.join(faults)}")
