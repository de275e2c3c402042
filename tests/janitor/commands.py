"""The one-off commands as an operator runs them: their exit code and what they say. `ran` is a process, the others are quick."""

import asyncio
import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import msgspec

from tests.janitor.conftest import World
from tests.janitor.storage import variables

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """But for what is logged in this process."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


async def ran(world: World, name: str, *arguments: str, **environment: str) -> Ran:
    environ = {**os.environ, **variables(world), **environment}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.janitor.{name}", *arguments),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def mained(environ: dict[str, str], module: ModuleType, *arguments: str) -> Ran:
    """The command's main with this environment, in this process."""
    given = patch.dict(os.environ, environ), patch("sys.argv", ["command", *arguments])
    with given[0], given[1], redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = await asyncio.to_thread(module.main)
    return Ran(code, out.getvalue(), err.getvalue())


async def called(world: World, module: ModuleType, *arguments: str, **settings: Any) -> Ran:
    """With the world's connections."""
    command = next(getattr(module, name) for name in ("verify", "requeue", "backfill") if hasattr(module, name))
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err, patch("sys.argv", ["command", *arguments]):
        try:
            code = await command(module._options(), msgspec.structs.replace(world.settings, **settings), world.c)
        except SystemExit as wrong:
            code = wrong.code
    return Ran(code, out.getvalue(), err.getvalue())
