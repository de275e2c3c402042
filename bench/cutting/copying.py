"""Row 1: a cut at keyframes beside `ffmpeg -c copy`, both from S3: CPU of one clip, and clips a minute."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from bench.cutting.clipper import Clipper, many
from bench.cutting.cuts import FRAMES, Cut, at_keyframes
from bench.cutting.judge import faults
from bench.cutting.peers import copying
from bench.cutting.session import Session, main
from bench.figures import Figure, at_least, at_most, milliseconds
from bench.processes import spent_by
from bench.sources import RATE, Source

PEER_BATCH = 4
OURS_AT_ONCE = ((1, 2), (1, 4), (2, 4), (2, 8))
"""Worker processes, and cuts in hand."""
PEER_AT_ONCE = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Case:
    source: Source
    frames: int
    ends_at_keyframe: bool = True

    @property
    def title(self) -> str:
        end = "" if self.ends_at_keyframe else ", end inside a GOP"
        return f"{self.source.height}p GOP {self.source.gop}, {self.frames / RATE:.1f} s at keyframes{end}"


@dataclass(slots=True)
class Cpu:
    """CPU seconds a clip: the median of rounds."""

    ours: list[float]
    verified: list[float]
    uploaded: list[float]
    peer: list[float]


def cases(sources: Sequence[Source]) -> list[Case]:
    """Thirty seconds are a whole number of GOPs of 60, but not of 250: there the end falls inside one, or the clip is longer."""
    return [
        case
        for source in sources
        for case in (
            [Case(source, FRAMES)]
            if FRAMES % source.gop == 0
            else [Case(source, 4 * source.gop), Case(source, FRAMES, ends_at_keyframe=False)]
        )
    ]


async def measure(session: Session) -> list[Figure]:
    async with session.clipper() as clipper:
        figures = [await _cpu(session, clipper, case) for case in cases(session.size.sources)]
    return [*figures, await _throughput(session)]


async def _cpu(session: Session, clipper: Clipper, case: Case) -> Figure:
    index = await session.index(case.source)
    cpu = Cpu([], [], [], [])
    for number in range(session.size.rounds):
        cuts = at_keyframes(index, session.size.batch, seed=number, frames=case.frames, ends_at_keyframe=case.ends_at_keyframe)
        cpu.peer.append(await copied(session, cuts[:PEER_BATCH]))
        cpu.ours.append(await ours(clipper, cuts, verify=False))
        cpu.verified.append(await ours(clipper, cuts))
        cpu.uploaded.append(await ours(clipper, cuts, upload=True))
    return _figure(case, cpu, await _wrong(clipper, cuts[0], session.clips / "copied.mp4"))


def _figure(case: Case, cpu: Cpu, wrong: Sequence[str]) -> Figure:
    mine, verified, uploaded, peer = (median(some) for some in (cpu.ours, cpu.verified, cpu.uploaded, cpu.peer))
    target, verdict = at_most(mine / peer, 0.25)
    judged = f"NOT EXACT: {'; '.join(wrong)}" if wrong else "one clip looked at: exact"
    return Figure(
        row="1",
        what=f"CPU: {case.title}",
        ours=milliseconds(mine),
        peer=f"ffmpeg copy {milliseconds(peer)}",
        ratio=mine / peer,
        target=target,
        verdict="missed" if wrong else verdict if case.ends_at_keyframe else "not judged",
        detail=f"verified as well: {milliseconds(verified)}, {verified / peer:.2f} x; uploaded too: {milliseconds(uploaded)}; {judged}",
    )


async def copied(session: Session, cuts: Sequence[Cut]) -> float:
    """CPU seconds a clip of ffmpeg's stream copy."""
    return mean([(await spent_by(copying(cut, await session.url(cut), session.folder / "peer.mp4"))).cpu for cut in cuts])


async def ours(clipper: Clipper, cuts: Sequence[Cut], *, upload: bool = False, verify: bool = True) -> float:
    before = clipper.cpu
    for cut in cuts:
        await clipper.cut(cut, upload=upload, verify=verify)
    return (clipper.cpu - before) / len(cuts)


async def _wrong(clipper: Clipper, cut: Cut, clip: Path) -> list[str]:
    await clipper.cut(cut, keep=clip)
    found = await faults(clip, cut)
    await asyncio.to_thread(clip.unlink)
    return found


@dataclass(slots=True)
class Pace:
    """Clips a minute, and what they cost the S3 server on the same cores, in CPU seconds a clip."""

    minute: list[float]
    s3: list[float]

    @property
    def text(self) -> str:
        return f"S3 server {milliseconds(median(self.s3))} of CPU a clip"


async def _throughput(session: Session) -> Figure:
    """Each at its best concurrency, found first; then in turns."""
    index = await session.index(session.size.small)
    cuts = at_keyframes(index, 10 * session.size.batch, seed=77)
    async with AsyncExitStack() as stack:
        clippers = [await stack.enter_async_context(session.clipper()) for _ in range(2)]

        async def mine(way: tuple[int, int], pace: Pace, *, verify: bool = False) -> float:
            return await _paced(session, pace, len(cuts), many(clippers[: way[0]], cuts, at_once=way[1], verify=verify))

        async def peers(at_once: int, pace: Pace) -> float:
            return await _paced(session, pace, len(cuts), _all_copied(session, cuts, at_once))

        tried, ours, checked, peer = Pace([], []), Pace([], []), Pace([], []), Pace([], [])
        best = max([(await mine(way, tried), way) for way in OURS_AT_ONCE])[1]
        peer_best = max([(await peers(at_once, tried), at_once) for at_once in PEER_AT_ONCE])[1]
        for _ in range(session.size.rounds):
            await mine(best, ours)
            await mine(best, checked, verify=True)
            await peers(peer_best, peer)
    ratio = median(ours.minute) / median(peer.minute)
    target, verdict = at_least(ratio, 6)
    return Figure(
        row="1",
        what=f"clips a minute: 30 s at keyframes, {session.size.small.title}",
        ours=f"{median(ours.minute):.0f}",
        peer=f"ffmpeg copy {median(peer.minute):.0f}",
        ratio=ratio,
        target=target,
        verdict=verdict,
        detail=f"ours: {best[0]} workers, {best[1]} cuts in hand, {ours.text}; verified as well: {median(checked.minute):.0f}; "
        f"ffmpeg: {peer_best} at once, {peer.text}",
    )


async def _paced(session: Session, pace: Pace, count: int, work: Coroutine[None, None, None]) -> float:
    s3, began = session.s3_cpu, time.perf_counter()
    await work
    pace.minute.append(60 * count / (time.perf_counter() - began))
    pace.s3.append((session.s3_cpu - s3) / count)
    return pace.minute[-1]


async def _all_copied(session: Session, cuts: Sequence[Cut], at_once: int) -> None:
    places = asyncio.Semaphore(at_once)

    async def one(number: int, cut: Cut) -> None:
        async with places:
            await spent_by(copying(cut, await session.url(cut), session.folder / f"peer-{number}.mp4"))

    await asyncio.gather(*(one(number, cut) for number, cut in enumerate(cuts)))


if __name__ == "__main__":
    main(measure)
