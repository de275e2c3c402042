"""docs/access.md: its commands, as they stand, lead from nothing to a client's key. The local stack has only the API here."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT, blocks_of

FIRST, LATER = (block.commands for block in blocks_of("docs/access.md", "console"))
MAKE = f"""#!/bin/bash
[ "$1" = start ] && exec {sys.executable} -m tools.stack --procfile "$PROCFILE" start
"""


class Shell:
    """In a folder of its own, with the checkout's .venv and its modules, and a `make` that starts the API alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        (folder / "Procfile").write_text("api: python -m services.api\n")
        (folder / "make").write_text(MAKE)
        (folder / "make").chmod(0o755)
        (folder / "home").mkdir()
        configured = ("DATABASE_URL", "NATS_URL", "S3_ENDPOINT_URL", "API_SECRET")
        own = {"CLIPSTREAM_HOME": str(folder / "home"), "PROCFILE": str(folder / "Procfile"), "PORT": "0", "PYTHONPATH": str(ROOT)}
        path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**{name: value for name, value in os.environ.items() if name not in configured}, **own, "PATH": path}

    async def run(self, command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", command),
            cwd=self.folder,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, said = await process.communicate()
        assert process.returncode == 0, (command, said.decode())
        return out.decode()


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    await shell.run(f"{sys.executable} -m tools.stack stop")


async def test_three_commands_lead_from_nothing_to_a_clients_key(shell: Shell) -> None:
    assert len(FIRST) == 3
    start, operator, first_key = FIRST
    shell.environ["URL"] = url = (await shell.run(start)).strip()
    assert await shell.run(operator) == ""
    made = json.loads(await shell.run(first_key))
    (shell.folder / "client").write_text(f"Authorization: Bearer {made['apiKey']}\n")
    status = "curl -sS -o /dev/null -w '%{http_code}'"
    assert await shell.run(f"{status} -H @client {url}/api/jobs/x") == "404"
    assert await shell.run(f"{status} -H @client {url}/api/admin/keys") == "403"
    assert await shell.run(f"{status} {url}/api/jobs/x") == "401"
    shell.environ["ID"] = made["key"]["id"]
    answers = [json.loads(await shell.run(command)) for command in LATER]
    assert [next(iter(answer.keys() - {"correlationId", "apiKey"})) for answer in answers] == ["keys", "key", "key"]
    assert not [answer for answer in answers if "error" in answer]
    memory = shell.folder / "home" / "memory.json"
    assert (memory.stat().st_mode & 0o777, len(json.loads(memory.read_text())["api_secret"])) == (0o600, 32)
