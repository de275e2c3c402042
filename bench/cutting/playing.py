"""Row 3 again: the random exact cuts in Chromium and Firefox: the first picture shown, and those after seeks into every part."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiohttp import web

from bench.barcode import BITS, STRIP_ROWS, WHITE
from bench.browsers import NAMES, is_installed, showing
from bench.cutting.exact_cuts import Made, exact_cuts
from bench.cutting.session import Session, main
from bench.figures import Figure, every
from bench.sources import RATE

PAGE = Path(__file__).parent / "player.html"
PATIENCE = 90.0
"""Seconds without a word until a browser is given up."""
SHOWN_FAULTS = 3


class Read(msgspec.Struct, frozen=True):
    """What the page says of a clip: the first picture's number, then one of each seek; seconds."""

    numbers: list[int]
    duration: float
    error: str = ""


@dataclass(slots=True)
class Playing:
    """One browser's way through the clips."""

    clips: Sequence[Made]
    read: dict[int, Read] = field(default_factory=dict)
    asked: int = 0
    word: asyncio.Event = field(default_factory=asyncio.Event)

    async def page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE)

    async def next(self, _: web.Request) -> web.Response:
        number, self.asked = self.asked, self.asked + 1
        if number >= len(self.clips):
            return web.json_response({})
        times = [(n + 0.5) / RATE for n in sought(self.clips[number])]
        return web.json_response(
            {"id": number, "url": f"/clip/{number}", "times": times, "bits": BITS, "row": STRIP_ROWS // 2, "white": WHITE}
        )

    async def clip(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.clips[int(request.match_info["number"])].clip, headers={"Content-Type": "video/mp4"})

    async def told(self, request: web.Request) -> web.Response:
        self.read[int(request.match_info["number"])] = msgspec.json.decode(await request.read(), type=Read)
        self.word.set()
        return web.Response()


def sought(made: Made) -> list[int]:
    """Pictures of the clip to seek to, not in order: both sides of its first keyframe (a seam), any, the last two, and the first again."""
    cut = made.cut
    seam = min(-cut.first % cut.source.gop, cut.frames - 1)
    chance = random.Random(cut.first)
    return [max(seam - 1, 0), cut.frames - 1, seam, chance.randrange(cut.frames), cut.frames - 2, 1, 0]


async def measure(session: Session) -> list[Figure]:
    made = await exact_cuts(session)
    clips = random.Random(3).sample(made, min(session.size.played, len(made)))
    return [await _figure(browser, clips) for browser in NAMES]


async def _figure(browser: str, clips: Sequence[Made]) -> Figure:
    if not is_installed(browser):
        return Figure(row="3", what=f"exact in {browser}", ours="", detail=f"{browser} is not installed")
    began = time.perf_counter()
    read = await _read(browser, clips)
    wrong = [fault for number, made in enumerate(clips) if (fault := faults(made, read.get(number)))]
    target, verdict = every(len(clips) - len(wrong), len(clips))
    return Figure(
        row="3",
        what=f"exact in {browser}",
        ours=f"{len(clips) - len(wrong)} of {len(clips)}",
        target=target,
        verdict=verdict,
        detail=f"{len(sought(clips[0]))} seeks each, {time.perf_counter() - began:.0f} s in all"
        + "".join(f" | wrong: {fault}" for fault in wrong[:SHOWN_FAULTS]),
    )


def faults(made: Made, read: Read | None) -> str:
    """What the browser showed otherwise than it should; empty if nothing."""
    name = made.clip.name
    if read is None or read.error:
        return f"{name}: {read.error if read else 'never shown'}"
    expected = [made.cut.numbers[n] for n in (0, *sought(made))]
    if read.numbers != expected:
        return f"{name}: pictures {read.numbers}, not {expected}"
    seconds = made.cut.frames / RATE
    return f"{name}: {read.duration} s long" if abs(read.duration - seconds) > 2 / RATE else ""


async def _read(browser: str, clips: Sequence[Made]) -> dict[int, Read]:
    playing = Playing(clips)
    async with _served(playing) as url, showing(browser, url):
        while len(playing.read) < len(clips):
            playing.word.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await playing.word.wait()
            except TimeoutError:
                break
    return playing.read


@asynccontextmanager
async def _served(playing: Playing) -> AsyncIterator[str]:
    app = web.Application()
    ways = [web.get("/", playing.page), web.get("/next", playing.next), web.get("/clip/{number}", playing.clip)]
    app.add_routes([*ways, web.post("/read/{number}", playing.told)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main(measure)
