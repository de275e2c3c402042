"""Who types: a folder of their own, and the system's address in the environment."""

from pathlib import Path

import pytest

from tests.clients.cli.typing_in import Shell, environ_of
from tests.e2e.conftest import System, sample, site, small, system  # noqa: F401  fixtures, here for our tests too


@pytest.fixture
async def shell(tmp_path: Path, system: System) -> Shell:  # noqa: F811  the fixture above
    folder = tmp_path / "folder"
    folder.mkdir()
    return Shell(folder, environ_of(tmp_path, CLIPSTREAM_URL=system.stack.url))
