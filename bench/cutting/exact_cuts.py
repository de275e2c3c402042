"""The random exact cuts that several figures are about: made once a run, with what each cost, and kept to be looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bench.cutting.cuts import Cut, anywhere
from bench.cutting.session import Session

SEED = 2026


@dataclass(frozen=True, slots=True)
class Made:
    """One clip; `cpu` in seconds, `path` the way that the cut took."""

    cut: Cut
    clip: Path
    cpu: float
    path: str


async def exact_cuts(session: Session) -> list[Made]:
    """As many off keyframes as the session asks for, the same number of each source; uploads left out."""
    if "exact cuts" not in session.shared:
        session.shared["exact cuts"] = await _made(session)
    return cast("list[Made]", session.shared["exact cuts"])


async def _made(session: Session) -> list[Made]:
    made: list[Made] = []
    each = session.size.cuts // len(session.size.sources)
    async with session.clipper() as clipper:
        for source in session.size.sources:
            for number, cut in enumerate(anywhere(await session.index(source), each, seed=SEED)):
                clip = session.clips / f"{source.name}-{number}.mp4"
                before = clipper.cpu
                answer = await clipper.cut(cut, keep=clip)
                made.append(Made(cut, clip, clipper.cpu - before, answer.path))
            print(f"  {each} exact cuts of {source.title}", flush=True)
    return made
