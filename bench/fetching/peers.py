"""The peer, as its users would run it: yt-dlp with its sections, with sections cut exactly, and with neither."""

import sys
from pathlib import Path

from bench.fetching.ranges import Range

PEERS = ("section", "exact section", "whole")


def ytdlp(way: str, url: str, wanted: Range, folder: Path) -> list[str]:
    """The same yt-dlp that the resolver uses, with the ffmpeg on PATH."""
    quiet = ("--ignore-config", "--no-cache-dir", "--quiet", "--no-warnings", "--output", str(folder / "film.%(ext)s"))
    return [sys.executable, "-m", "yt_dlp", *quiet, *_section(way, wanted), url]


def _section(way: str, wanted: Range) -> list[str]:
    section = ["--download-sections", f"*{wanted.start:.3f}-{wanted.end:.3f}"]
    return {"section": section, "exact section": [*section, "--force-keyframes-at-cuts"], "whole": []}[way]
