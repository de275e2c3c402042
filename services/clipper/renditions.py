"""Makes a clip's other forms of ORIGINAL, verifies and uploads them. One that can't be made costs a warning, never the clip."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Notice, Preset, Rendition
from libs.common.runtime.logs import logger
from libs.common.runtime.scratch import OUT_OF_ROOM
from services.clipper.clip import Clip
from services.clipper.inspected import Inspected, shown_size
from services.clipper.output_checks import Sight, faults
from services.clipper.rendering import ClipperContext, encode, encoding, part_of
from services.clipper.rendition_plan import CUBE, ORIGINAL, VIDEO, Original, Plan, misfit, rendition_plan
from services.clipper.retiming import retimed
from services.clipper.tone_map import HDR, cube
from services.clipper.verification import found_in, inspected

log = logger(__name__)

TOO_MUCH = "it took more time or memory than there is for it"
Made = tuple[tuple[Rendition, ...], tuple[Notice, ...]]


async def renditions_of(clip: Clip, requested: ClipsRequested, ctx: ClipperContext, *, deadline: float) -> Made:
    """In the order asked for, each preset once; and a warning for each that there is none of.

    `deadline`, by the event loop's clock: until then all must be made. Raises what S3 raises, and OSError(ENOSPC) for a full disk.
    """
    presets, original = tuple(dict.fromkeys(requested.presets)), None
    made: list[Rendition] = []
    warnings: list[Notice] = []
    for n, preset in enumerate(presets):
        async with _apart(preset, part_of(ctx, n / len(presets), (n + 1) / len(presets))) as own:
            try:
                async with _in_time(deadline):
                    original = original or await _original(clip, ctx)
                    plan = await _made(preset, requested, original, own)
            except Failure as failure:
                warnings.append(_warning(preset, failure, ctx))
            else:
                made.append(await _stored(preset, plan, own))
    return tuple(made), tuple(warnings)


@asynccontextmanager
async def _apart(preset: Preset, ctx: ClipperContext) -> AsyncIterator[ClipperContext]:
    """A folder of its own, where the original is found too; nothing of it stays, whatever became of the rendition."""
    folder = ctx.scratch / f"rendition-{preset}"
    folder.mkdir()
    for name in (ORIGINAL, CUBE):
        (folder / name).symlink_to((ctx.scratch / name).absolute())
    try:
        yield replace(ctx, folder=lambda: folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@asynccontextmanager
async def _in_time(deadline: float) -> AsyncIterator[None]:
    """Raises Failure when it is later."""
    late = Failure(Code.INVALID_STATE, "there was no time left for it")
    if asyncio.get_running_loop().time() >= deadline:
        raise late
    try:
        async with asyncio.timeout_at(deadline) as scope:
            yield
    except TimeoutError:
        if scope.expired():
            raise late from None
        raise


def _warning(preset: Preset, failure: Failure, ctx: ClipperContext) -> Notice:
    """What a program died of is said in the log alone. Raises OSError(ENOSPC) when it died for want of room."""
    if shutil.disk_usage(ctx.scratch).free < OUT_OF_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from failure
    log.warning("no rendition", preset=preset, code=failure.code, reason=failure.message)
    reason = TOO_MUCH if failure.retryable or failure.code is Code.INTERNAL else failure.message
    return Notice("PRESET_FAILED", f"The preset {preset} was not made: {reason}. The clip itself is whole.")


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


def _sound_codec(told: Inspected) -> str | None:
    return told.codecs[-1] if told.has_audio else None


async def _made(preset: Preset, requested: ClipsRequested, original: Original, ctx: ClipperContext) -> Plan:
    """Written, and verified. Raises Failure."""
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
    return plan


async def _stored(preset: Preset, plan: Plan, ctx: ClipperContext) -> Rendition:
    key = f"results/{ctx.job_id}/{plan.name}"
    size = await ctx.objects.results.upload(key, _path(plan, ctx), plan.media_type)
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
