"""Row 11: CPU of looking at a finished clip: beside ffmpeg's copy for copies, beside the cut itself where something was encoded."""

from collections.abc import Sequence
from statistics import median

from bench.cutting.clipper import Clipper
from bench.cutting.copying import copied
from bench.cutting.cuts import Cut, anywhere, at_keyframes
from bench.cutting.session import Session, main
from bench.figures import Figure, at_most, milliseconds
from bench.sources import Source

REPEATS = 20
"""CPU is counted in ticks of 10 ms."""


async def measure(session: Session) -> list[Figure]:
    small, long_gop = session.size.sources[:2]
    async with session.clipper() as clipper:
        return [await _of_copies(session, clipper, small), *[await _of_encodes(session, clipper, source) for source in (small, long_gop)]]


async def _of_copies(session: Session, clipper: Clipper, source: Source) -> Figure:
    cuts = at_keyframes(await session.index(source), session.size.rounds, seed=11)
    turns = [(await copied(session, [cut]), (await clipper.cut(cut, verify_again=REPEATS)).verification_cpu) for cut in cuts]
    peer, ours = median(turn[0] for turn in turns), median(turn[1] for turn in turns)
    return _figure(f"CPU of verifying: 30 s copied, {source.height}p", ours, f"ffmpeg copy {milliseconds(peer)}", ours / peer, 0.5)


async def _of_encodes(session: Session, clipper: Clipper, source: Source) -> Figure:
    """The cut's cost is measured on its own, less one verification, so that nothing of ours counts as the encode's."""
    cuts = anywhere(await session.index(source), session.size.rounds, seed=11)
    ours = median([(await clipper.cut(cut, verify_again=REPEATS)).verification_cpu for cut in cuts])
    encode = await _cost(clipper, cuts) - ours
    return _figure(
        f"CPU of verifying: 30 s off keyframes, {source.height}p GOP {source.gop}", ours, f"its making {encode:.3f} s", ours / encode, 0.1
    )


async def _cost(clipper: Clipper, cuts: Sequence[Cut]) -> float:
    """CPU seconds a cut; the mean, for some begin just before a keyframe and some just after."""
    before = clipper.cpu
    for cut in cuts:
        await clipper.cut(cut)
    return (clipper.cpu - before) / len(cuts)


def _figure(what: str, ours: float, peer: str, ratio: float, limit: float) -> Figure:
    target, verdict = at_most(ratio, limit)
    return Figure(
        row="11",
        what=what,
        ours=milliseconds(ours),
        peer=peer,
        ratio=ratio,
        target=target,
        verdict=verdict if ours else "missed",
        detail=f"each clip verified {REPEATS} times over" if ours else "the verification was never called",
    )


if __name__ == "__main__":
    main(measure)
