"""Jobs as a client sees them: asked for over HTTP, followed by their events to the end, their files looked at."""

import asyncio
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from bench.cutting.cuts import Cut
from bench.cutting.judge import faults
from bench.processes import ProgramFailed, output_of
from bench.system.talk import Talk
from clipstream import AsyncClipstream
from clipstream.job_options import JobOptions
from clipstream.models import Result, Upload

PATIENCE = 300.0
CUE = re.compile(r"^(\d+):(\d\d):(\d\d),(\d{3}) --> (\d+):(\d\d):(\d\d),(\d{3})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Told:
    """An event: when it happened, by its own word, and when the client heard of it, in seconds since 1970; the job's status behind it."""

    type: str
    at: float
    heard: float
    status: str


@dataclass(frozen=True, slots=True)
class Ran:
    """One job, from the request at second `asked` to its last event."""

    job_id: str
    cut: Cut
    asked: float
    told: tuple[Told, ...]

    @property
    def seconds(self) -> float:
        return self.told[-1].heard - self.asked

    @property
    def is_done(self) -> bool:
        return self.told[-1].status == "done"

    @property
    def until_begun(self) -> float:
        """Seconds from the request to the beginning of the first stage."""
        return next(told.at for told in self.told if told.type == "stage.started") - self.asked

    @property
    def last_hop(self) -> float:
        """Seconds from the last event to the client's knowledge of it."""
        return self.told[-1].heard - self.told[-1].at


async def run(client: AsyncClipstream, source: Upload, cut: Cut, **options: Unpack[JobOptions]) -> Ran:
    asked, told = time.time(), list[Told]()
    async with asyncio.timeout(PATIENCE):
        job = await client.create(source, cut.start, cut.end, **options)
        async for event in client.events(job.id):
            told.append(Told(event.type, event.ts.timestamp(), time.time(), event.job.status))
    return Ran(job.id, cut, asked, tuple(told))


async def wrong(client: AsyncClipstream, ran: Ran, folder: Path, *, is_decoded: bool) -> list[str]:
    """What is wrong with a job's end and files: pictures by the clip's index, or each by its number; a talk must have cues."""
    if not ran.is_done:
        return [f"job {ran.job_id} is {ran.told[-1].status}"]
    result = await client.result(ran.job_id)
    found = [] if await pictures(result.video.url) == ran.cut.frames else [f"job {ran.job_id}: not {ran.cut.frames} pictures"]
    if is_decoded:
        files = await client.download(ran.job_id, folder, only=["video"])
        found += await faults(files["video"], ran.cut)
    return found + (await _without_cues(client, result, folder) if isinstance(ran.cut.source, Talk) else [])


async def pictures(movie: str) -> int:
    """By the index of an MP4; 0 for what is none."""
    entries = ["-select_streams", "v:0", "-show_entries", "stream=nb_frames", "-of", "csv=p=0"]
    try:
        told, _ = await output_of(["ffprobe", "-v", "error", *entries, movie])
    except ProgramFailed:
        return 0
    return int(told.split()[0]) if told.strip() else 0


async def _without_cues(client: AsyncClipstream, result: Result, folder: Path) -> list[str]:
    if result.srt is None:
        return []
    files = await client.download(result.id, folder, only=["srt"])
    return [] if cues(files["srt"].read_text()) else [f"job {result.id}: no cue"]


def cues(srt: str) -> list[tuple[float, float]]:
    """When each begins and ends, in seconds."""
    return [(_seconds(*found[:4]), _seconds(*found[4:])) for found in CUE.findall(srt)]


def _seconds(hours: str, minutes: str, seconds: str, thousandths: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000
