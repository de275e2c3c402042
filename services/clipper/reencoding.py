"""A clip made by ffmpeg alone, from the source itself: for what can't be spliced, and when a spliced clip is not right."""

from libs.common.domain.events import ClipsRequested
from libs.common.runtime.logs import logger
from services.clipper.clip import Clip
from services.clipper.cut_plan import cut_plan
from services.clipper.ffmpeg_plan import CLIP, cut_command
from services.clipper.frames import wanted
from services.clipper.rendering import ClipperContext, encode, encoding, ffmpeg
from services.clipper.source import Source
from services.clipper.source_index import packet_index
from services.clipper.splice_plan import Reason
from services.clipper.verification import expected_of, unverified, verified

log = logger(__name__)


async def reencoded(source: Source, requested: ClipsRequested, reason: Reason, ctx: ClipperContext) -> Clip:
    """Raises Failure(OUTPUT_VERIFICATION_FAILED) when this is not right either."""
    (ctx.scratch / CLIP).unlink(missing_ok=True)
    url, media = await source.url(), await source.media()
    zero = source.zero(media.start_time)
    want = wanted(zero, requested.start, requested.end)
    plan = cut_plan(media, await packet_index(url, media, want, ctx.settings), want, requested.accuracy, reason)
    render = ffmpeg if plan.how == "copy" else encode
    ended = await render(cut_command(url, media, plan, encoding(ctx.settings)), ctx, seconds=plan.duration)
    if ended.code:
        log.warning("ffmpeg failed", how=plan.how, code=ended.code, stderr=ended.stderr[-1000:])
        raise source.failure or unverified(("it can't be written",))
    found, faults = await verified(CLIP, await expected_of(url, media, plan, ctx), ctx, poster=True)
    if faults:
        raise source.failure or unverified(faults)
    return Clip(
        path="fallback" if reason is Reason.UNVERIFIED else plan.how,
        reason=plan.reason,
        start=plan.origin - zero,
        end=plan.end - zero,
        duration=found.duration,
        has_video=found.has_video,
        has_audio=found.has_audio,
        frames=found.frames,
        poster=found.poster,
    )
