"""Real servers for the tests: one NATS, one Postgres with the schema, one S3, started once for the session from PyPI wheels."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.runtime.embedded import LocalServers, embedded_servers
from tests.whole_stack import callbacks, sample, site, small, system
from tools.migrations import migrate

__all__ = ["callbacks", "sample", "site", "small", "system"]

MIGRATIONS = Path(__file__).parent.parent / "libs" / "common" / "migrations"


@pytest.fixture(scope="session")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServers]:
    """The session's servers with their handles. Whoever kills one starts it again before the test ends."""
    home: Path = tmp_path_factory.mktemp("servers")
    async with embedded_servers(home, {}) as servers:
        await migrate(MIGRATIONS, {**os.environ, **servers.variables})
        yield servers


@pytest.fixture(scope="session")
def servers(local: LocalServers) -> dict[str, str]:
    """The variables that reach the session's servers."""
    return local.variables
