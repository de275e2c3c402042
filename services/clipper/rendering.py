"""Running ffmpeg: its limits, its progress, and that no more encodes run at once than there are cores for."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from mmap import mmap

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from libs.common.runtime.process import Completed, Limits, run
from libs.common.runtime.warm_process import Warm, open_warm
from services.clipper.buffers import MemoryFile, Pool, windows
from services.clipper.ffmpeg_plan import Encoding
from services.clipper.settings import ClipperSettings
from services.clipper.turns import Turns

LARGEST_OUTPUT = 4 << 30


@dataclass(frozen=True, slots=True)
class Tools:
    """What the service opened at its start: the places for encodes, so that copies never wait behind them."""

    encodes: Turns
    inspection: Warm
    windows: Pool[mmap]
    clips: Pool[MemoryFile]


ClipperContext = Context[ClipperSettings, Tools]


@asynccontextmanager
async def open_tools(settings: ClipperSettings) -> AsyncIterator[Tools]:
    cores = os.cpu_count() or 1
    slots = settings.encoder_slots or max(1, cores // settings.encoder_threads)
    async with open_warm("services.clipper.inspection", workers=cores) as inspection:
        yield Tools(Turns(slots), inspection, windows(), Pool(MemoryFile))


def encoding(settings: ClipperSettings) -> Encoding:
    return Encoding(settings.ffmpeg_bin, settings.encoder_crf, settings.encoder_threads)


def limits(settings: ClipperSettings) -> Limits:
    seconds = settings.clip_max_runtime_sec
    return Limits(wall=seconds, cpu=seconds * settings.encoder_threads, memory=settings.media_memory_mb << 20, file_size=LARGEST_OUTPUT)


BEGUN, RENDERED = 0.1, 0.8
"""The parts of the work that are done when the source has been read, and when the output is written."""


def part_of(ctx: ClipperContext, begin: float, end: float) -> ClipperContext:
    """The same world for a part of the work, which says of itself 0 to 1 and is `begin` to `end` of the whole."""

    async def progress(done: float) -> None:
        await ctx.progress(begin + (end - begin) * done)

    return replace(ctx, progress=progress)


async def ffmpeg(command: list[str], ctx: ClipperContext, *, seconds: float = 0.0, before: float = 0.0) -> Completed:
    """Run one command in the attempt's folder. With `seconds`, the length of all that is to be written, progress is told.

    `before`: how much of that had been written already. Raises Failure(RETRYABLE_ERROR) when it was killed: by its limits, or for want
    of memory.
    """
    on_line = _telling(ctx.progress, seconds, before) if seconds > 0 else None
    ended = await run(command, limits=limits(ctx.settings), cwd=ctx.scratch, on_line=on_line)
    if ended.code < 0:
        raise Failure(Code.RETRYABLE_ERROR, f"ffmpeg was killed by signal {-ended.code}")
    return ended


async def encode(command: list[str], ctx: ClipperContext, *, seconds: float = 0.0, before: float = 0.0) -> Completed:
    """`ffmpeg`, as soon as there is a place for one more encode; the oldest job first."""
    async with ctx.tools.encodes.turn(ctx.job.created_at.timestamp() if ctx.job.created_at else 0.0):
        return await ffmpeg(command, ctx, seconds=seconds, before=before)


def _telling(progress: Callable[[float], Awaitable[None]], seconds: float, before: float) -> Callable[[str], Awaitable[None]]:
    async def on_line(line: str) -> None:
        done = seconds_done(line)
        if done is not None:
            await progress(BEGUN + (RENDERED - BEGUN) * min((before + done) / seconds, 1.0))

    return on_line


def seconds_done(line: str) -> float | None:
    """The time in a line of `-progress`, or None: N/A and negative times come before the first packet."""
    name, _, value = line.partition("=")
    if name != "out_time_us" or not value.strip().isdigit():
        return None
    return int(value[:18]) / 1e6
