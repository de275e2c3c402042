"""Makes a clip's other forms of ORIGINAL, verifies and uploads them. One that fails for good costs a warning, never the clip."""

from pathlib import Path

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Notice, Preset, Rendition
from libs.common.runtime.telemetry import logger
from services.clipper.clip import Clip
from services.clipper.inspected import Inspected
from services.clipper.output_checks import Sight, faults
from services.clipper.rendering import ClipperContext, encode, encoding, part_of
from services.clipper.rendition_plan import CUBE, ORIGINAL, VIDEO, Original, Plan, misfit, rendition_plan
from services.clipper.retiming import retimed
from services.clipper.tone_map import HDR, cube
from services.clipper.verification import found_in, inspected

log = logger(__name__)

SIDEWAYS = (90, 270)
MOST_STRETCHED = 10
Made = tuple[tuple[Rendition, ...], tuple[Notice, ...]]


async def renditions_of(clip: Clip, requested: ClipsRequested, ctx: ClipperContext) -> Made:
    """In the order asked for, each preset once; and a warning for each that there is none of. Raises Failure that is worth a retry."""
    presets = tuple(dict.fromkeys(requested.presets))
    original = await _original(clip, ctx)
    made: list[Rendition] = []
    warnings: list[Notice] = []
    for n, preset in enumerate(presets):
        try:
            made.append(await _rendition(preset, requested, original, part_of(ctx, n / len(presets), (n + 1) / len(presets))))
        except Failure as failure:
            if failure.retryable:
                raise
            log.warning("no rendition", preset=preset, code=failure.code, reason=failure.message)
            warnings.append(Notice("PRESET_FAILED", f"The preset {preset} was not made: {failure.message}. The clip itself is whole."))
    return tuple(made), tuple(warnings)


async def _original(clip: Clip, ctx: ClipperContext) -> Original:
    at = (clip.frames[0], clip.frames[len(clip.frames) // 2]) if clip.frames else ()
    told = await inspected(ORIGINAL, at, ctx, upright=True)
    if told.transfer in HDR:
        (ctx.scratch / CUBE).write_text(cube(told.transfer))
    return Original(
        size=shown_size(told),
        is_hdr=told.transfer in HDR,
        matrix=told.matrix,
        duration=clip.duration,
        frames=clip.frames,
        sights=tuple(Sight(second, looked.picture) for second, looked in zip(at, told.looks, strict=True)),
        sound=_sound_codec(told),
        sound_end=told.audio[1] if told.audio else 0.0,
        channels=told.channels,
    )


def shown_size(told: Inspected) -> tuple[int, int]:
    """In square pixels, turned."""
    stretch = told.stretch if 1 / MOST_STRETCHED <= told.stretch <= MOST_STRETCHED else 1.0
    size = (round(told.width * stretch), told.height)
    return size[::-1] if told.rotation in SIDEWAYS else size


def _sound_codec(told: Inspected) -> str | None:
    return told.codecs[-1] if told.has_audio else None


async def _rendition(preset: Preset, requested: ClipsRequested, original: Original, ctx: ClipperContext) -> Rendition:
    if reason := misfit(preset, original):
        raise Failure(Code.INVALID_STATE, reason)
    plan = rendition_plan(preset, requested.vertical_fit, requested.audio_format, original, encoding(ctx.settings))
    await _run(plan, original, ctx)
    wrong = faults(
        plan.expected, found_in(await inspected(plan.name, [s.at for s in plan.expected.sights], ctx, form=plan.form), _path(plan, ctx))
    )
    if wrong:
        log.warning("rendition failed its verification", preset=preset, faults=wrong)
        raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "; ".join(wrong))
    key = f"results/{ctx.job_id}/{plan.name}"
    size = await ctx.objects.results.upload(key, _path(plan, ctx), plan.media_type)
    _path(plan, ctx).unlink()
    return Rendition(preset=preset, key=key, media_type=plan.media_type, size=size)


def _path(plan: Plan, ctx: ClipperContext) -> Path:
    return ctx.scratch / plan.name


async def _run(plan: Plan, original: Original, ctx: ClipperContext) -> None:
    for n, command in enumerate(plan.commands):
        ended = await encode(command, ctx, seconds=original.duration * len(plan.commands), before=original.duration * n)
        if ended.code:
            log.warning("ffmpeg failed", how=plan.name, code=ended.code, stderr=ended.stderr[-1000:])
            raise Failure(Code.OUTPUT_VERIFICATION_FAILED, "it could not be made of this clip")
    if plan.media_type == VIDEO:
        await retimed(_path(plan, ctx), original.duration, original.sound_end)
