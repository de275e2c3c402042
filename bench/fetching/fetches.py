"""Rows 16 to 18: ten seconds out of an hour by URL, beside yt-dlp: bytes that the site sent, seconds, and whether the clip is exact."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.fetching.fetcher import Fetcher
from bench.fetching.peers import PEERS, ytdlp
from bench.fetching.ranges import Range, off_by, ranges
from bench.figures import Figure, at_most, every
from bench.processes import Spent, spent_by
from tests import media
from tests.clipper.running import Clipper
from tests.e2e.test_urls import bytes_of
from tests.sites.films import FRAME_RATE, numbers_in
from tests.sites.packagings import packaged
from tests.sites.site import Site

KINDS = ("faststart", "moov-at-end", "hls-ts", "hls-fmp4", "dash")
LIMIT = 0.05
"""Of the source's bytes."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What fetches are measured with: a site that counts, our resolver, our clipper, and a folder for what is fetched."""

    site: Site
    fetcher: Fetcher
    clipper: Clipper
    folder: Path


@dataclass(frozen=True, slots=True)
class Turn:
    """One fetch: bytes that the site sent for it, in how many answers, what it cost, and how many pictures the clip is off.

    `off` None: it was not looked at.
    """

    sent: int
    requests: int
    spent: Spent
    off: int | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often each is done, in turns; `whole` is yt-dlp without a section."""

    ours: int = 10
    peers: int = 5
    whole: int = 1

    def of(self, way: str) -> int:
        return self.whole if way == "whole" else self.peers


Turns = dict[str, list[Turn]]


async def measure(rig: Rig, film: Path, seconds: int, rounds: Rounds) -> list[Figure]:
    figures: list[Figure] = []
    for kind in KINDS:
        entry = await asyncio.to_thread(packaged, film, kind)
        turns = await taken(rig, entry, ranges(seconds, FRAME_RATE, rounds.ours, seed=16), rounds)
        figures += [_bytes(kind, turns, bytes_of(entry)), _seconds(kind, turns), _exactness(kind, turns)]
    return sorted(figures, key=lambda figure: figure.row)


async def taken(rig: Rig, entry: Path, wanted: Sequence[Range], rounds: Rounds) -> Turns:
    turns: Turns = {"ours": [], **{way: [] for way in PEERS}}
    for number, one in enumerate(wanted):
        for way in PEERS:
            if number < rounds.of(way):
                turns[way].append(await _theirs(rig, way, entry, one))
        turns["ours"].append(await _ours(rig, entry, one))
    return turns


async def _ours(rig: Rig, entry: Path, wanted: Range) -> Turn:
    """The section is fetched, and then cut as the clipper cuts: that is judged, but not timed."""
    async with _counted(rig) as folder:
        fetched, spent = await rig.fetcher.fetch(rig.site.file(entry), wanted, folder)
        sent, requests = rig.site.sent, len(rig.site.requests)
        cut = await rig.clipper.cut(Path(fetched.path), wanted.start, wanted.end, clock_offset=fetched.clock_offset)
        off = off_by(await asyncio.to_thread(numbers_in, cut.path), wanted)
        cut.path.unlink()
        return Turn(sent, requests, spent, off)


async def _theirs(rig: Rig, way: str, entry: Path, wanted: Range) -> Turn:
    """The file is the clip. Of the whole there is nothing to judge."""
    async with _counted(rig) as folder:
        spent = await spent_by(ytdlp(way, rig.site.file(entry), wanted, folder))
        sent, requests = rig.site.sent, len(rig.site.requests)
        off = None if way == "whole" else off_by(await asyncio.to_thread(_pictures, next(folder.iterdir())), wanted)
        return Turn(sent, requests, spent, off)


@asynccontextmanager
async def _counted(rig: Rig) -> AsyncIterator[Path]:
    with TemporaryDirectory(dir=rig.folder) as folder:
        rig.site.forget()
        yield Path(folder)


def _pictures(path: Path) -> list[int]:
    """A peer's file may be without any."""
    return numbers_in(path) if "video" in media.told(path, "stream=codec_type") else []


def _bytes(kind: str, turns: Turns, size: int) -> Figure:
    """The worst of ours, the medians of the peers."""
    share = max(turn.sent for turn in turns["ours"]) / size
    target, verdict = at_most(share, LIMIT)
    return Figure(
        row="16",
        what=f"bytes sent by the site: {kind}",
        ours=f"{share:.2%}",
        peer=", ".join(f"{way} {median(turn.sent for turn in turns[way]) / size:.2%}" for way in PEERS),
        ratio=share,
        target=target,
        verdict=verdict,
        detail=f"of {size / 1e6:.1f} MB; ours is the worst of {len(turns['ours'])}, peers' are medians; answers a fetch: "
        + ", ".join(f"{way} {median(turn.requests for turn in some):g}" for way, some in turns.items()),
    )


def _seconds(kind: str, turns: Turns) -> Figure:
    def wall(way: str) -> float:
        return median(turn.spent.wall for turn in turns[way])

    def cpu(way: str) -> float:
        return median(turn.spent.cpu for turn in turns[way])

    return Figure(
        row="17",
        what=f"wall (CPU) of the fetch: {kind}",
        ours=f"{wall('ours'):.2f} ({cpu('ours'):.2f}) s",
        peer=", ".join(f"{way} {wall(way):.2f} ({cpu(way):.2f}) s" for way in PEERS),
        ratio=cpu("ours") / cpu("section"),
        detail=f"the ratio is that of the CPU, to yt-dlp's section; medians of {', '.join(f'{len(some)}' for some in turns.values())}",
    )


def _exactness(kind: str, turns: Turns) -> Figure:
    offs = {way: [turn.off for turn in some if turn.off is not None] for way, some in turns.items()}
    right = {way: some.count(0) for way, some in offs.items()}
    target, verdict = every(right["ours"], len(offs["ours"]))
    wrong = [off for off in offs["ours"] if off]
    return Figure(
        row="18",
        what=f"exact clips: {kind}",
        ours=f"{right['ours']} of {len(offs['ours'])}",
        peer=", ".join(f"{way} {right[way]} of {len(some)}" for way, some in offs.items() if some and way != "ours"),
        target=target,
        verdict=verdict,
        detail="pictures off, worst: "
        + ", ".join(f"{way} {max(some)}" for way, some in offs.items() if some)
        + (f"; NOT EXACT: {wrong}" if wrong else ""),
    )
