"""Runs the clipper's handlers as the stage runner would, on real S3, and gives back what a client would download."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import msgspec

from libs.common.domain.events import AnyEvent, AsrDone, ClipBurned, ClipsRequested, ClipUploaded
from libs.common.domain.job import fold
from libs.common.domain.values import Section
from libs.common.runtime.context import Context
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.settings import load
from services.clipper.burn import burn_subtitles
from services.clipper.handler import cut_clip
from services.clipper.rendering import ClipperContext, Tools, open_tools
from services.clipper.settings import ClipperSettings
from tests import media
from tests.builders import history, ready, requested, transcribed, uploaded

DEMUXERS = {
    **dict.fromkeys((".mp4", ".m4a", ".mov"), "mov"),
    **dict.fromkeys((".mkv", ".webm"), "matroska"),
    ".ts": "mpegts",
    **{f".{name}": name for name in ("mp3", "avi", "flv", "flac", "wav")},
}


@dataclass
class Said:
    """Keeps what a handler says of its progress."""

    said: list[float] = field(default_factory=list)

    async def __call__(self, progress: float) -> None:
        self.said.append(progress)


@dataclass
class Cut:
    event: ClipUploaded
    path: Path
    said: list[float]

    @property
    def numbers(self) -> list[int]:
        return media.numbers(self.path)


@dataclass
class Clipped:
    """What a client has when all is done: the event, and every file by its name."""

    event: ClipUploaded
    folder: Path
    said: list[float]

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    @property
    def warnings(self) -> list[tuple[str, str]]:
        return [(notice.code, notice.message) for notice in self.event.warnings]


@dataclass
class Clipper:
    """The service on a store; `variables` are its environment. Without `tools` each job opens its own."""

    objects: ObjectStore
    variables: dict[str, str]
    folder: Path
    tools: Tools | None = None

    @asynccontextmanager
    async def context(self, *events: AnyEvent, variables: dict[str, str] | None = None) -> AsyncIterator[ClipperContext]:
        programs = {"FFMPEG_BIN": media.FFMPEG, "FFPROBE_BIN": media.FFPROBE}
        settings = load(ClipperSettings, self.variables | programs | (variables or {}))
        job_id = uuid4()
        scratch = self.folder / f"scratch-{job_id}"
        scratch.mkdir()
        async with nullcontext(self.tools) if self.tools else open_tools(settings) as tools:
            yield Context(
                job_id=job_id,
                job=fold(history(*events, job_id=job_id)),
                settings=settings,
                tools=tools,
                objects=self.objects,
                folder=lambda: scratch,
                progress=Said(),
            )

    async def stored(self, source: Path) -> str:
        key = f"sources/{uuid4()}/source{source.suffix}"
        await self.objects.sources.upload(key, source, "application/octet-stream")
        return key

    async def cut(
        self, source: Path, start: float, end: float, accuracy: str = "exact", *, clock_offset: float | None = None, **variables: str
    ) -> Cut:
        asked = requested(start=start, end=end, accuracy=accuracy)
        async with self.context(asked, variables=variables) as ctx:
            key = await self.stored(source)
            event = await cut_clip(ready(source_key=key, container=DEMUXERS[source.suffix], clock_offset=clock_offset), ctx)
            path = self.folder / f"{ctx.job_id}.mp4"
            await self.objects.results.download(event.video_key, path)
            return Cut(event, path, ctx.progress.said)  # type: ignore[attr-defined]

    async def clipped(
        self, source: Path, asked: ClipsRequested, *, sections: tuple[tuple[Section, Path], ...] = (), **variables: str
    ) -> Clipped:
        """As asked, of a source, or of the fetched sections of one."""
        async with self.context(asked, variables=variables) as ctx:
            fetched = [msgspec.structs.replace(section, source_key=await self.stored(path)) for section, path in sections]
            told = ready(source_key=await self.stored(source), container=DEMUXERS[source.suffix], sections=tuple(fetched))
            event = await cut_clip(told, ctx)
            folder = self.folder / str(ctx.job_id)
            folder.mkdir()
            poster = [event.thumbnail_key] if event.thumbnail_key else []
            for key in (event.video_key, *poster, *(made.key for made in event.renditions)):
                await self.objects.results.download(key, folder / key.rpartition("/")[2])
            return Clipped(event, folder, ctx.progress.said)  # type: ignore[attr-defined]

    async def burned(
        self,
        clip: Path,
        srt: str,
        *,
        cues: int = 1,
        document: bytes | None = None,
        style: str = "default",
        language: str = "en",
        **variables: str,
    ) -> tuple[ClipBurned, Path]:
        """`document` is a clip.json, as jobs have that were transcribed since there is one."""
        keys = {name: f"results/{uuid4()}/{name}" for name in ("clip.mp4", "clip.srt", "clip.json")}
        size = await self.objects.results.upload(keys["clip.mp4"], clip, "video/mp4")
        await self.objects.results.put(keys["clip.srt"], srt.encode(), "application/x-subrip")
        if document is not None:
            await self.objects.results.put(keys["clip.json"], document, "application/json")
        cut = uploaded(video_key=keys["clip.mp4"], size=size)
        asked = requested(with_subtitles=True, burn_subtitles=True, subtitle_style=style)
        json_key = keys["clip.json"] if document is not None else None
        asr: AsrDone = transcribed(srt_key=keys["clip.srt"], json_key=json_key, cues=cues, language=language)
        async with self.context(asked, ready(), cut, asr, variables=variables) as ctx:
            event = await burn_subtitles(asr, ctx)
            path = self.folder / f"{ctx.job_id}.subbed.mp4"
            await self.objects.results.download(event.video_key, path)
            return event, path
