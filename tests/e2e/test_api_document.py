"""docs/api.md as a new integrator reads it: every command in it runs, in its order, against the whole stack."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import System
from tests.e2e.test_main_job import frame_count

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
pytestmark = pytest.mark.timeout(300)


async def test_every_command_of_the_page_runs(system: System, tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    script = "set -euo pipefail\n" + "".join(blocks)
    environ = {**system.stack.environ, "URL": system.stack.url}
    command = ["bash", "-c", script]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"status":"done"' in done.stdout
    assert frame_count(tmp_path / "out" / "clip.mp4") == 62
    assert (tmp_path / "out" / "thumb.jpg").read_bytes()[:2] == b"\xff\xd8"
