"""Who types: a folder of their own, and the system's address in the environment."""

from pathlib import Path

import pytest

from tests.clients.cli.typing_in import Shell, environ_of
from tests.whole_stack import System


@pytest.fixture
async def shell(tmp_path: Path, system: System) -> Shell:
    folder = tmp_path / "folder"
    folder.mkdir()
    return Shell(folder, environ_of(tmp_path, CLIPSTREAM_URL=system.stack.url))
