"""clipper: SourceReady -> ClipUploaded. Cuts the range out of the source, verifies the clip, uploads it."""

from libs.common.domain.events import ClipsRequested, ClipUploaded, SourceReady
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.telemetry import logger
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.clip import Clip
from services.clipper.codings import Coding, is_played
from services.clipper.edges import NotEncodedError
from services.clipper.ffmpeg_plan import CLIP
from services.clipper.metrics import CUTS
from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.output_checks import Expected, Found
from services.clipper.reencoding import reencoded
from services.clipper.rendering import BEGUN, ClipperContext
from services.clipper.sound import sound_of
from services.clipper.source import Source, opened_source
from services.clipper.splice_plan import Reason, SplicePlan, splice_plan
from services.clipper.splicing import splice
from services.clipper.verification import verified
from services.clipper.window import Window
from services.clipper.windows import coding_in, is_one_stream, pictures_of, window_of

log = logger(__name__)


async def cut_clip(event: SourceReady, ctx: ClipperContext) -> ClipUploaded:
    requested = _requested(ctx)
    async with opened_source(ctx.objects.sources, event, ctx.settings) as source:
        clip = await _cut(source, requested, ctx)
        log.info("cut", path=clip.path, reason=clip.reason, seconds=clip.duration, bytes_read=source.bytes_read)
        CUTS.labels(clip.path, clip.reason).inc()
        await ctx.progress(0.9)
        key = f"results/{ctx.job_id}/{CLIP}"
        size = await ctx.objects.results.upload(key, ctx.scratch / CLIP, "video/mp4")
        return _uploaded(key, size, clip)


def _requested(ctx: ClipperContext) -> ClipsRequested:
    if ctx.job.requested is None:
        raise Failure(Code.NOT_FOUND, "no such job")
    return ctx.job.requested


async def _cut(source: Source, requested: ClipsRequested, ctx: ClipperContext) -> Clip:
    """Spliced of the source's own samples where that can be done and verified; else encoded anew."""
    try:
        made = await _spliced(source, requested, ctx)
    except (NotUnderstood, BrokenBitstream) as error:
        log.info("not spliced", error=str(error))
        made = Reason.FORMAT
    except NotEncodedError as error:
        log.warning("not spliced", error=str(error))
        made = Reason.UNVERIFIED
    return made if isinstance(made, Clip) else await reencoded(source, requested, made, ctx)


async def _spliced(source: Source, requested: ClipsRequested, ctx: ClipperContext) -> Clip | Reason:
    """The clip, or why it must be made in another way."""
    window = await window_of(source, requested, ctx)
    coding = coding_in(window.picture) if window else None
    if window is None or coding is None or not is_played(coding):
        return Reason.FORMAT
    await ctx.progress(BEGUN)
    plan = _planned(window, coding, requested)
    if isinstance(plan, Reason):
        return plan
    sound = await sound_of(window, source, *_heard(window, plan, requested), ctx)
    expected = await splice(plan, window, coding, sound, source, ctx)
    found, faults = await verified(CLIP, expected, ctx)
    return Reason.UNVERIFIED if faults else _clip(plan, window.picture.seconds(plan.origin) - window.start_time, expected, found)


def _planned(window: Window, coding: Coding, requested: ClipsRequested) -> SplicePlan | Reason:
    picture, want = window.picture, window.wanted(requested)
    pictures, latest = pictures_of(picture, coding, want), picture.last_ticks(want.start)
    plan = splice_plan(pictures, picture.ticks(want.start), picture.ticks(want.end), requested.accuracy, latest=latest)
    if plan is None:
        return Reason.UNSURE_FRAMES
    if plan.how == "copy":
        return plan
    if coding.is_interlaced:
        return Reason.INTERLACED
    return plan if is_one_stream(picture, coding, plan.copied) else Reason.FORMAT


def _heard(window: Window, plan: SplicePlan, requested: ClipsRequested) -> tuple[float, float]:
    """When the clip's sound begins and ends on the source's clock: with the picture; `exact` not beyond the range."""
    end, picture = window.wanted(requested).end, window.picture
    return picture.seconds(plan.origin), end if requested.accuracy == "exact" else max(end, picture.seconds(plan.end))


def _clip(plan: SplicePlan, start: float, expected: Expected, found: Found) -> Clip:
    return Clip(
        path=plan.how,
        reason=plan.reason,
        start=start,
        end=start + expected.duration,
        duration=found.duration,
        has_video=found.has_video,
        has_audio=found.has_audio,
    )


def _uploaded(key: str, size: int, clip: Clip) -> ClipUploaded:
    return ClipUploaded(
        video_key=key,
        size=size,
        duration=round(clip.duration, 6),
        actual_start=round(clip.start, 6),
        actual_end=round(clip.end, 6),
        cut_path=clip.path,
        cut_reason=clip.reason,
        has_video=clip.has_video,
        has_audio=clip.has_audio,
    )
