"""A reader of our documents: a folder that looks like the checkout, and the whole stack, running already, which the commands find."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT, Block, pasted
from tests.whole_stack import System

MAKE = """#!/bin/sh
case "$1" in
  start) echo "$CLIPSTREAM_URL" ;;
  setup | stop | demo | test) ;;
  *) echo "make $1 is run by no test of the documents" >&2; exit 2 ;;
esac
"""
CLIPSTREAM = f"""#!/bin/sh
case "$1" in
  up) echo "$CLIPSTREAM_URL" ;;
  down) ;;
  *) exec {ROOT}/.venv/bin/clipstream "$@" ;;
esac
"""
"""The stack is the tests': whoever starts or stops one is told that it runs. All else is the real command."""


@pytest.fixture(scope="session")
async def operators_key(system: System) -> str:
    command = (sys.executable, "-m", "services.api.keys_command", "create", "--name", "ops", "--scope", "admin")
    made = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=system.stack.environ, stdout=asyncio.subprocess.PIPE)
    printed, _ = await made.communicate()
    return printed.decode().strip()


@dataclass(frozen=True, slots=True)
class Reader:
    """Who pastes what documents say, in a folder that looks like the checkout."""

    folder: Path
    environ: dict[str, str]

    async def pastes(self, blocks: list[Block], *, seconds: float = 60, **variables: str) -> list[str]:
        return await pasted(blocks, self.folder, {**self.environ, **variables}, seconds=seconds)

    async def types(self, command: str, *, seconds: float = 60, **variables: str) -> str:
        [printed] = await self.pastes([Block("a test", 1, "", "bash", command)], seconds=seconds, **variables)
        return printed


@pytest.fixture
async def reader(system: System, operators_key: str, tmp_path: Path) -> Reader:
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {"make": MAKE, "clipstream": CLIPSTREAM}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("deploy", "clients"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "key").write_text(f"X-API-Key: {operators_key}\n")
    url = system.stack.url
    own = {name: str(tmp_path / "home") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    path = f"{programs}{os.pathsep}{system.stack.environ['PATH']}"
    return Reader(tmp_path, {**system.stack.environ, "PATH": path, "URL": url, "CLIPSTREAM_URL": url, **own})
