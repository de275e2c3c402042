"""docs/command-line.md is true: its commands are typed one after the other. The local stack runs already: test_local starts one."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from clipstream.cli.exits import Exit
from tests.clients.cli.typing_in import environ_of
from tests.whole_stack import ACK_WAIT, System

PAGE = (Path(__file__).parents[3] / "docs/command-line.md").read_text()
SECONDS = 150
CLIPSTREAM = f"""#!/bin/sh
[ "$1" = down ] && exit
exec {sys.executable} -m clipstream.cli "$@"
"""


def commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


async def test_every_command_of_the_page_does_what_it_says(tmp_path: Path, system: System) -> None:
    (tmp_path / "clipstream").write_text(CLIPSTREAM)
    (tmp_path / "clipstream").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environ = environ_of(tmp_path, CLIPSTREAM_HOME=str(system.log.parent), QUEUE_ACK_WAIT_SEC=str(ACK_WAIT), PATH=path)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eo", "pipefail", "-c", "\n".join(commands())), env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    said = out.decode().splitlines()
    assert said[1] == "talk-3.5s-6s.mp4"
    for line in (
        "it ends with 3 because talk.mp4 is 30 s long",
        "clips/goal.gif",
        "talk-5s-8s.subbed.mp4",
        "talk-10s-12s.mp4",
        "NOT_FOUND",
    ):
        assert line in said
    assert (tmp_path / "clips/goal.m4a").stat().st_size > 0


def test_the_page_has_every_exit_code() -> None:
    named = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", PAGE, re.MULTILINE)}
    assert named == set(Exit) - {Exit.NOBODY_READS}
