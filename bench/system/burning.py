"""Row 10: a clip transcribed by the local model and burned in, beside the bare x264 encode of the same clip."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from bench.cutting.cuts import Cut
from bench.cutting.judge import faults
from bench.figures import Figure, at_most
from bench.processes import Spent, output_of, spent_by
from bench.sources import CACHE
from bench.system.client import cues
from bench.system.orders import Answer, Order, Stage
from bench.system.session import Session
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.clipper.settings import ClipperSettings
from tools.setup import ROOT

LIMIT = 1.3
PATIENCE = 300.0
STAGES = ("transcribe", "burn")
OTHER = 64
"""Gray levels by which letters differ from what they hide; noise and another encode of the same picture stay far below."""
DRAWN = 0.002
"""The share of the picture's lower third that a line of letters changes at least."""


class BurnFailed(RuntimeError):
    """The message is the handler's, or the worker's end."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A warm process with the three handlers."""

    process: asyncio.subprocess.Process

    async def ask(self, order: Order) -> Answer:
        """Raises BurnFailed."""
        assert self.process.stdin  # noqa: S101  for the type checker: it was asked for
        assert self.process.stdout  # noqa: S101  as above
        self.process.stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        answer = msgspec.json.decode(line, type=Answer) if line else Answer(error="the worker ended; its log says why")
        if answer.error:
            raise BurnFailed(answer.error)
        return answer


@dataclass(frozen=True, slots=True)
class Turn:
    """One clip both ways."""

    stages: dict[str, Stage]
    peer: Spent
    faults: Sequence[str]

    @property
    def ours(self) -> Spent:
        """All stages; the cut is no part of the row."""
        return Spent(sum(self.stages[name].wall for name in STAGES), sum(self.stages[name].cpu for name in STAGES))


async def measure(session: Session) -> list[Figure]:
    settings = load(ClipperSettings, session.environ)
    async with running_worker(session) as worker, open_object_store(settings) as objects:
        await worker.ask(_order(session, next(session.unheard)))
        turns = [await _turn(session, worker, objects, settings) for _ in range(session.size.rounds)]
    return [_figure("CPU", turns, [t.ours.cpu for t in turns], [t.peer.cpu for t in turns]), _wall(turns)]


def _wall(turns: Sequence[Turn]) -> Figure:
    return _figure("wall", turns, [t.ours.wall for t in turns], [t.peer.wall for t in turns])


async def _turn(session: Session, worker: Worker, objects: ObjectStore, settings: ClipperSettings) -> Turn:
    cut = next(session.unheard)
    answer = await worker.ask(_order(session, cut))
    clip, burned, srt, bare = (session.folder / name for name in ("clip.mp4", "clip.subbed.mp4", "clip.srt", "bare.mp4"))
    for key, path in ((answer.clip_key, clip), (answer.burned_key, burned), (answer.srt_key, srt)):
        await objects.results.download(key, path)
    peer = await spent_by(bare_encode(clip, bare, settings))
    found = [
        *await faults(burned, cut),
        *await undrawn(clip, burned, srt),
        *(["the transcript was there already"] if answer.reused else []),
    ]
    return Turn(answer.stages, peer, found)


def _order(session: Session, cut: Cut) -> Order:
    return Order(key=session.source.key, size=session.source.size, seconds=cut.source.seconds, start=cut.start, end=cut.end)


def bare_encode(clip: Path, to: Path, settings: ClipperSettings) -> list[str]:
    """As the burner encodes, less the subtitles."""
    threads = ["-threads", str(settings.encoder_threads)]
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(settings.subtitle_crf), "-pix_fmt", "yuv420p", *threads]
    arguments = ["-v", "error", "-nostdin", "-y", *threads, "-i", str(clip), *video, "-c:a", "copy", "-movflags", "+faststart", str(to)]
    return [settings.ffmpeg_bin, *arguments]


async def undrawn(clip: Path, burned: Path, srt: Path) -> list[str]:
    """What the burned clip lacks; nothing if there are cues, and letters where the first of them is shown."""
    shown = cues(srt.read_text())
    if not shown:
        return ["no cue"]
    at = sum(shown[0]) / 2
    before, after = [await _lower_third(movie, at) for movie in (clip, burned)]
    share = float((np.abs(before - after) > OTHER).mean())
    return [] if share >= DRAWN else [f"nothing is drawn at {at:.2f} s"]


async def _lower_third(movie: Path, at: float) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    picture = ["-frames:v", "1", "-vf", "crop=iw:ih/3:0:ih*2/3,format=gray", "-f", "rawvideo", "-"]
    told, _ = await output_of(["ffmpeg", "-v", "error", "-nostdin", "-ss", f"{at:.3f}", "-i", str(movie), *picture])
    return np.frombuffer(told, np.uint8).astype(np.int16)


def _figure(what: str, turns: Sequence[Turn], ours: Sequence[float], peer: Sequence[float]) -> Figure:
    wrong = [fault for turn in turns for fault in turn.faults]
    ratio = median(ours) / median(peer)
    target, verdict = at_most(ratio, LIMIT)
    return Figure(
        row="10",
        what=f"{what}: 30 s of 720p transcribed and burned in",
        ours=f"{median(ours):.2f} s",
        peer=f"bare x264 {median(peer):.2f} s",
        ratio=ratio,
        target=target,
        verdict="missed" if wrong else verdict,
        detail=f"medians of {len(turns)}, wall (CPU): {_stages(turns)}; by turns "
        + ", ".join(f"{one / other:.3f}" for one, other in zip(ours, peer, strict=True))
        + (f"; WRONG: {wrong[0]}" if wrong else "; every burned clip exact, with letters at its first cue"),
    )


def _stages(turns: Sequence[Turn]) -> str:
    names = turns[0].stages
    told = {name: [turn.stages[name] for turn in turns] for name in names}
    return ", ".join(f"{name} {median(s.wall for s in some):.2f} ({median(s.cpu for s in some):.2f}) s" for name, some in told.items())


@asynccontextmanager
async def running_worker(session: Session) -> AsyncIterator[Worker]:
    """On the stack's servers; whose services have nothing to do meanwhile."""
    environ = {**session.environ, "SCRATCH_DIR": str(session.folder / "worker")}
    pipe = asyncio.subprocess.PIPE
    with (CACHE / "burning.log").open("wb") as log:
        argv = (sys.executable, "-m", "bench.system.worker")
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, stderr=log)
    try:
        yield Worker(process)
    finally:
        if process.stdin:
            process.stdin.close()
        await process.wait()
