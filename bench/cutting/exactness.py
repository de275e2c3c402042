"""Row 3: are the random exact cuts exact in ffmpeg? Every picture's number and time, the sound, and nothing else in the file."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.cutting.cuts import Cut
from bench.cutting.encoding import beside
from bench.cutting.exact_cuts import exact_cuts
from bench.cutting.judge import faults, playing_faults
from bench.cutting.peers import copying
from bench.cutting.session import Session, main
from bench.figures import Figure, every
from bench.processes import spent_by

SHOWN_FAULTS = 3
COPIES = 10


async def measure(session: Session) -> list[Figure]:
    ours = [(made.clip, made.cut) for made in await exact_cuts(session)]
    smart = [(pair.smartcut_clip, pair.cut) for pair in await beside(session)]
    copies = [(await _copied(session, number, cut), cut) for number, (_, cut) in enumerate(ours[:COPIES])]
    wrong = await _judged(ours, faults)
    smart_wrong, copies_wrong = [await _judged(clips, playing_faults) for clips in (smart, copies)]
    right, smart_right, copies_right = len(ours) - len(wrong), len(smart) - len(smart_wrong), len(copies) - len(copies_wrong)
    target, verdict = every(right, len(ours))
    return [
        Figure(
            row="3",
            what="exact in ffmpeg",
            ours=f"{right} of {len(ours)}",
            peer=f"smartcut {smart_right} of {len(smart)}, ffmpeg copy {copies_right} of {len(copies)}",
            target=target,
            verdict=verdict,
            detail=" | ".join(f"wrong: {fault}" for fault in [*wrong[:SHOWN_FAULTS], *(f"(smartcut) {w}" for w in smart_wrong[:1])]),
        )
    ]


async def _copied(session: Session, number: int, cut: Cut) -> Path:
    clip = session.clips / f"ffmpeg-copy-{number}.mp4"
    await spent_by(copying(cut, await session.url(cut), clip))
    return clip


async def _judged(clips: Sequence[tuple[Path, Cut]], judge: Callable[[Path, Cut], Awaitable[list[str]]]) -> list[str]:
    """The faults of those that have some."""
    places = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(clip: Path, cut: Cut) -> str:
        async with places:
            found = await judge(clip, cut)
        return f"{clip.name}: {', '.join(found)}" if found else ""

    return [told for told in await asyncio.gather(*(one(clip, cut) for clip, cut in clips)) if told]


if __name__ == "__main__":
    main(measure)
