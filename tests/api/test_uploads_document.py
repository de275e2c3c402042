"""Every command of docs/uploads.md is run as it stands, in one shell after the other's work: one that fails is a bug."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path

from tests.api.conftest import Running

PAGE = (Path(__file__).parents[2] / "docs" / "uploads.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


async def test_the_documents_commands_do_what_it_says(api: Running, tmp_path: Path) -> None:
    assert len(COMMANDS) == 4
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euc", "".join(COMMANDS)),
        cwd=tmp_path,
        env={**os.environ, "URL": str(api.http.base_url).rstrip("/")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(30):
            output, _ = await shell.communicate()
    finally:
        if shell.returncode is None:
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, output.decode()
    said = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert said["job"]["job"]["status"] == "queued"
    assert (said["state"]["received"], [part["number"] for part in said["state"]["parts"]]) == ([1], [2, 3])
    assert (said["complete"]["state"], said["complete"]["received"]) == ("complete", [1, 2, 3])
    assert said["deleted"]["state"] == "deleted"
    small = await api.to.objects.sources.head(said["ticket"]["uploadKey"])
    assert small
    assert small.size == 1_000_000
