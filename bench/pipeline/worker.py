"""Our worker: the four stages with handlers that only answer, run by the services' own main: `python -m bench.pipeline.worker`."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta

from libs.common.domain.events import (
    AsrDone,
    AsrFailed,
    BurnFailed,
    ClipBurned,
    ClipsRequested,
    ClipUploaded,
    SourceReady,
    StageName,
)
from libs.common.domain.values import AudioTrack, VideoTrack
from libs.common.runtime.context import Context
from libs.common.runtime.service import run
from libs.common.runtime.settings import CommonSettings
from libs.common.runtime.world import Stage
from tests.builders import uploaded


class WorkerSettings(CommonSettings, frozen=True, kw_only=True):
    starts_file: Annotated[Path, Meta(description="Gets a line of each job whose first handler begins: its id, and seconds of the epoch")]


class Starts:
    """Lines that are in the file when `note` returns."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab", buffering=0)

    def note(self, job_id: object) -> None:
        self._file.write(f"{job_id} {time.time():.6f}\n".encode())


Ours: TypeAlias = Context[WorkerSettings, Starts]
VIDEO = VideoTrack(codec="h264", width=1920, height=1080, frame_rate=25.0)
AUDIO = AudioTrack(codec="aac", sample_rate=48000, channels=2)


@asynccontextmanager
async def open_starts(settings: WorkerSettings) -> AsyncIterator[Starts]:
    yield Starts(settings.starts_file)


async def resolve(event: ClipsRequested, ctx: Ours) -> SourceReady:
    ctx.tools.note(ctx.job_id)
    key = event.upload_key or ""
    return SourceReady(source_key=key, size=10**9, container="mov", duration=3600.0, video=VIDEO, audio=AUDIO)


async def cut(_: SourceReady, ctx: Ours) -> ClipUploaded:
    keys = {"video_key": f"results/{ctx.job_id}/clip.mp4", "thumbnail_key": f"results/{ctx.job_id}/thumb.jpg"}
    return uploaded(**keys, size=10**7, duration=30.0, actual_start=10.0, actual_end=40.0)


async def transcribe(_: ClipUploaded, ctx: Ours) -> AsrDone:
    return AsrDone(
        srt_key=f"results/{ctx.job_id}/clip.srt",
        vtt_key=f"results/{ctx.job_id}/clip.vtt",
        json_key=f"results/{ctx.job_id}/clip.json",
        language="en",
        provider="local",
        model="tiny.en",
        cues=12,
        audio_seconds=30.0,
    )


async def burn(_: AsrDone, ctx: Ours) -> ClipBurned:
    return ClipBurned(video_key=f"results/{ctx.job_id}/clip.subbed.mp4", size=10**7)


STAGES = (
    Stage(name=StageName.RESOLVER, consumes=ClipsRequested, handle=resolve),
    Stage(name=StageName.CLIPPER, consumes=SourceReady, handle=cut),
    Stage(name=StageName.ASR, consumes=ClipUploaded, handle=transcribe, optional=AsrFailed),
    Stage(name=StageName.BURNER, consumes=AsrDone, handle=burn, optional=BurnFailed),
)

if __name__ == "__main__":
    run(STAGES, WorkerSettings, opens=open_starts)
