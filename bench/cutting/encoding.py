"""Row 2: exact cuts off keyframes beside encoding all anew (x264 veryfast) and beside smartcut: CPU of one clip."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import cast

from bench.cutting.cuts import Cut
from bench.cutting.exact_cuts import Made, exact_cuts
from bench.cutting.peers import encoding, install_smartcut, smartcut
from bench.cutting.session import Session, main
from bench.figures import Figure, at_most
from bench.processes import spent_by
from bench.sources import Source

LIMITS = {250: 1 / 5, 60: 1 / 12}
"""By GOP, of the full encode."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One cut, as it was made by all three: CPU seconds, and smartcut's clip."""

    ours: float
    encoded: float
    smartcut: float
    cut: Cut
    smartcut_clip: Path


async def measure(session: Session) -> list[Figure]:
    made, compared = await exact_cuts(session), await beside(session)
    return [
        figure
        for source in session.size.sources
        for figure in _figures(source, [m for m in made if m.cut.source == source], [b for b in compared if b.cut.source == source])
    ]


async def beside(session: Session) -> list[Beside]:
    """The first cuts of each source, made by the peers too."""
    if "beside" not in session.shared:
        await install_smartcut()
        chosen = [m for source in session.size.sources for m in _of(source, await exact_cuts(session))[: session.size.peer_cuts]]
        session.shared["beside"] = [await _beside(session, made) for made in chosen]
    return cast("list[Beside]", session.shared["beside"])


def _of(source: Source, made: Sequence[Made]) -> list[Made]:
    return [m for m in made if m.cut.source == source]


async def _beside(session: Session, made: Made) -> Beside:
    clip = made.clip.with_suffix(".smartcut.mp4")
    encoded = await spent_by(encoding(made.cut, await session.url(made.cut), session.folder / "encoded.mp4"))
    smart = await spent_by(smartcut(made.cut, made.cut.source.path, clip))
    return Beside(made.cpu, encoded.cpu, smart.cpu, made.cut, clip)


def _figures(source: Source, made: Sequence[Made], compared: Sequence[Beside]) -> list[Figure]:
    ours, encoded, smart = mean(m.cpu for m in made), mean(b.encoded for b in compared), mean(b.smartcut for b in compared)
    target, verdict = at_most(ours / encoded, LIMITS[source.gop])
    title = f"CPU, exact: {source.height}p GOP {source.gop}"
    paths = ", ".join(f"{count} {path}" for path, count in Counter(m.path for m in made).most_common())
    largest = max(b.ours / b.smartcut for b in compared)
    below, is_below = at_most(largest, 1)
    return [
        Figure(
            row="2",
            what=title,
            ours=f"{ours:.3f} s",
            peer=f"x264 veryfast {encoded:.2f} s",
            ratio=ours / encoded,
            target=target,
            verdict=verdict,
            detail=f"ours: mean of {len(made)} cuts ({paths}); peer: of the first {len(compared)} of them",
        ),
        Figure(
            row="2",
            what=f"{title}, the worst",
            ours=f"{ours:.3f} s",
            peer=f"smartcut {smart:.2f} s",
            ratio=largest,
            target=below,
            verdict=is_below,
            detail=f"largest ratio of {len(compared)} single cuts; smartcut reads a local file, ours S3",
        ),
    ]


if __name__ == "__main__":
    main(measure)
