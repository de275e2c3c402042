"""The peers, as their users would run them: ffmpeg that copies, ffmpeg that encodes all anew, smartcut."""

import asyncio
import sys
from pathlib import Path

from bench.cutting.cuts import Cut
from bench.processes import output_of
from bench.sources import CACHE

SMARTCUT = CACHE / "smartcut"
REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "bench.txt"


def copying(cut: Cut, url: str, to: Path) -> list[str]:
    """`-ss` before `-i`, so `-t`: with `-to` it would cut to another length (findings C-A)."""
    return [*_ffmpeg(cut, url), "-c", "copy", "-movflags", "+faststart", str(to)]


def encoding(cut: Cut, url: str, to: Path) -> list[str]:
    video = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-c:a", "aac", "-b:a", "128k"]
    return [*_ffmpeg(cut, url), *video, "-movflags", "+faststart", str(to)]


def _ffmpeg(cut: Cut, url: str) -> list[str]:
    return ["ffmpeg", "-nostdin", "-v", "error", "-y", "-ss", f"{cut.start:.3f}", "-i", url, "-t", f"{cut.end - cut.start:.3f}"]


def smartcut(cut: Cut, source: Path, to: Path) -> list[str]:
    """By frame numbers, its most exact way (the last one is kept too), and from a local file, its cheapest."""
    frames = f"{cut.first},{cut.first + cut.frames - 1}"
    return [str(SMARTCUT / "bin" / "smartcut"), str(source), str(to), "--keep", frames, "--frames", "--log-level", "error"]


async def install_smartcut() -> None:
    """In an environment of its own, once: it insists on one version of PyAV."""
    if (SMARTCUT / "bin" / "smartcut").exists():
        return
    print("installing smartcut, once …", flush=True)
    await output_of([sys.executable, "-m", "venv", str(SMARTCUT)])
    pip = [str(SMARTCUT / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    await asyncio.shield(output_of([*pip, "--requirement", str(REQUIREMENTS)]))
