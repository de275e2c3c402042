"""Cuts one range out of a source, as CLIP in the attempt's folder, and verifies it."""

from dataclasses import replace

from libs.common.domain.events import ClipsRequested
from libs.common.runtime.logs import logger
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.clip import Clip
from services.clipper.codings import Coding, is_played
from services.clipper.edges import NotEncodedError
from services.clipper.ffmpeg_plan import CLIP
from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.output_checks import Expected, Found
from services.clipper.reencoding import reencoded
from services.clipper.rendering import BEGUN, ClipperContext
from services.clipper.sound import sound_of
from services.clipper.source import Source
from services.clipper.splice_plan import Reason, SplicePlan, splice_plan
from services.clipper.splicing import splice
from services.clipper.verification import verified
from services.clipper.window import Window
from services.clipper.windows import coding_in, is_one_stream, pictures_of, window_of

log = logger(__name__)


async def cut(source: Source, requested: ClipsRequested, ctx: ClipperContext, *, copies_sound: bool = True) -> Clip:
    """Spliced of the source's own samples where that can be done and verified; else encoded anew."""
    try:
        made = await _spliced(source, requested, ctx, copies_sound=copies_sound)
    except (NotUnderstood, BrokenBitstream) as error:
        log.info("not spliced", error=str(error))
        made = Reason.FORMAT
    except NotEncodedError as error:
        log.warning("not spliced", error=str(error))
        made = Reason.UNVERIFIED
    return made if isinstance(made, Clip) else await reencoded(source, requested, made, ctx)


async def _spliced(source: Source, requested: ClipsRequested, ctx: ClipperContext, *, copies_sound: bool) -> Clip | Reason:
    """The clip, or why it must be made in another way."""
    window = await window_of(source, requested, ctx)
    coding = coding_in(window.picture) if window else None
    if window is None or coding is None or not is_played(coding):
        return Reason.FORMAT
    await ctx.progress(BEGUN)
    plan = _planned(window, coding, requested)
    if isinstance(plan, Reason):
        return plan
    heard_in = window if copies_sound else replace(window, sound=None)
    sound = await sound_of(heard_in, source, *_heard(window, plan, requested), ctx)
    expected = await splice(plan, window, coding, sound, source, ctx)
    found, faults = await verified(CLIP, expected, ctx, poster=True)
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
        frames=found.frames,
        poster=found.poster,
    )
