"""Row 15: `make demo`, from the command to its end: with everything installed; and from a fresh clone, with all downloads."""

import asyncio
import os
import tempfile
import time
from asyncio.subprocess import STDOUT, create_subprocess_exec
from pathlib import Path
from statistics import median

from bench.figures import Figure, Verdict
from bench.processes import output_of
from bench.sources import CACHE
from bench.system.client import cues, pictures
from tools.sample import FRAME_RATE, SENTENCE_END, SENTENCE_START
from tools.setup import ROOT

WARM, COLD = 60.0, 360.0
"""Seconds."""
LOG = CACHE / "demo.log"
FRAMES = round((SENTENCE_END - SENTENCE_START) * FRAME_RATE)
OURS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PIP_CACHE_DIR", "VENV", "VIRTUAL_ENV", "CLIPSTREAM_URL")
"""What a user's shell does not have: variables of the `make` around this, and pip's cache."""


class DemoFailed(RuntimeError):
    """It ended badly, or left something wrong."""


async def measure(rounds: int) -> list[Figure]:
    """In this checkout, each time on a state folder of its own: the sample is made anew."""
    taken = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="demo-", dir=CACHE) as home:
            taken.append(await demo(ROOT, {"CLIPSTREAM_HOME": home}))
    return [_figure("everything installed, new state folder", taken, WARM)]


async def measure_cold() -> list[Figure]:
    """Of the last commit. The second run is what a reader's second run is: the sample is there too."""
    with tempfile.TemporaryDirectory(prefix="clone-", dir=CACHE) as folder:
        Path(folder).chmod(0o755)
        clone = Path(folder) / "clipstream"
        await output_of(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)])
        cold, warm = await demo(clone, {}), await demo(clone, {})
    return [_figure("fresh clone, all packages downloaded", [cold], COLD), _figure("the same clone again", [warm], WARM)]


async def demo(folder: Path, variables: dict[str, str]) -> float:
    """Seconds. Raises DemoFailed for a wrong clip too."""
    began = time.perf_counter()
    with LOG.open("w") as log:
        process = await create_subprocess_exec("make", "demo", cwd=folder, env=environment() | variables, stdout=log, stderr=STDOUT)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
    seconds = time.perf_counter() - began
    if code or (found := await pictures(str(folder / "out" / "clip.subbed.mp4"))) != FRAMES:
        raise DemoFailed(f"exit code {code}; {LOG} says more" if code else f"{found} pictures, not {FRAMES}")
    if not cues((folder / "out" / "clip.srt").read_text()):
        raise DemoFailed("no subtitles")
    return seconds


def environment() -> dict[str, str]:
    """A user's: without this checkout's own programs on the path."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    folders = [folder for folder in kept.get("PATH", "").split(os.pathsep) if not folder.startswith(str(ROOT))]
    return {**kept, "PATH": os.pathsep.join(folders)}


def _figure(what: str, taken: list[float], limit: float) -> Figure:
    verdict: Verdict = "reached" if median(taken) <= limit else "missed"
    return Figure(
        row="15",
        what=f"make demo: {what}",
        ours=f"{median(taken):.1f} s",
        target=f"<= {limit:g} s",
        verdict=verdict,
        detail=f"{', '.join(f'{one:.1f}' for one in taken)} s; a right clip with subtitles each time",
    )
