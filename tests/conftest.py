"""Real servers for the tests: one NATS, one Postgres with the schema, one S3, started once for the session from PyPI wheels."""

import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from libs.common.runtime.embedded import LocalServers, embedded_servers
from tests.boto_files import read_once
from tests.thorough import IS_THOROUGH
from tests.whole_stack import callbacks, sample, site, small, system
from tools.migrations import migrate

__all__ = ["callbacks", "sample", "site", "small", "system"]

MIGRATIONS = Path(__file__).parent.parent / "libs" / "common" / "migrations"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `thorough` is for `make test-thorough` alone."""
    left = set() if IS_THOROUGH else {item for item in items if item.get_closest_marker("thorough")}
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session", autouse=True)
def boto_files() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A test that sets up a service's logs does so for itself alone."""
    root, hooks, levels = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook), _levels()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], (sys.excepthook, threading.excepthook, sys.unraisablehook) = handlers, hooks
    root.setLevel(level)
    for name, found in _levels().items():
        if found != (was := levels.get(name, logging.NOTSET)):
            logging.getLogger(name).setLevel(was)
    logging.captureWarnings(capture=False)
    structlog.configure(**configured)


def _levels() -> dict[str, int]:
    known = logging.Logger.manager.loggerDict
    return {name: each.level for name, each in known.items() if isinstance(each, logging.Logger)}


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
