"""docs/api.md as a new integrator reads it: every command in it runs, in its order, against the whole stack."""

from pathlib import Path

import pytest

from tests.documents.blocks import blocks_of, pasted
from tests.e2e.test_main_job import frame_count
from tests.whole_stack import System

pytestmark = pytest.mark.timeout(300)


async def test_every_command_of_the_page_runs(system: System, tmp_path: Path) -> None:
    environ = {**system.stack.environ, "URL": system.stack.url}
    printed = await pasted(blocks_of("docs/api.md"), tmp_path, environ, seconds=120)
    assert '"status":"done"' in "".join(printed)
    assert frame_count(tmp_path / "out" / "clip.mp4") == 62
    assert (tmp_path / "out" / "thumb.jpg").read_bytes()[:2] == b"\xff\xd8"
