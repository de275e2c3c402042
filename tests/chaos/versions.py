"""An earlier commit of ours as a folder: its services run from there, on this environment's packages."""

import asyncio
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from tests.chaos.system import MIGRATIONS
from tools.setup import ROOT

PARTS = ("libs", "services", "deploy/postgres", "requirements")
SCRIPT = Path(__file__).with_name("folded.py")
PIN = re.compile(r"^[\w.-]+==[^ ;]+", re.MULTILINE)


def before_the_last_migration() -> str:
    """The commit before the one that last brought a migration."""
    return f"{_git('log', '-1', '--first-parent', '--format=%H', '--', str(MIGRATIONS)).decode().strip()}^"


def taken_out(revision: str, folder: Path) -> str:
    """Into the folder, as much of it as runs; its short name."""
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", revision, *PARTS))) as archive:
        archive.extractall(folder, filter="data")
    return _git("rev-parse", "--short", revision).decode().strip()


def foreign_pins(tree: Path) -> set[str]:
    """What it was locked to and this environment is not."""
    locked = (set(PIN.findall((place / "requirements" / "dev.txt").read_text())) for place in (tree, ROOT))
    theirs, ours = locked
    return theirs - ours


async def read_by(tree: Path, histories: Sequence[Sequence[str]]) -> list[list[object]]:
    """What that version's API would tell of these jobs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT)),
        cwd=tree,
        env={"PYTHONPATH": str(tree)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate(json.dumps(histories).encode())
    assert process.returncode == 0, f"{tree} can't read the histories"
    told: list[list[object]] = json.loads(answer)
    return told


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout
