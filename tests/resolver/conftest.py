from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from libs.common.runtime.warm_process import Warm
from services.resolver.handler import open_describer
from services.resolver.settings import ResolverSettings
from tests.resolver.recordings import RECORDINGS, recorded
from tests.resolver.running import Resolving


@pytest.fixture(scope="session")
async def store(servers: dict[str, str]) -> AsyncIterator[ObjectStore]:
    # One try of each request: an outage is then told at once.
    async with open_object_store(load(ResolverSettings, servers | {"STORAGE_UPLOAD_ATTEMPTS": "1"})) as opened:
        await opened.ensure_buckets()
        yield opened


@pytest.fixture(scope="session")
async def describer(servers: dict[str, str]) -> AsyncIterator[Warm]:
    async with open_describer(load(ResolverSettings, servers)) as opened:
        yield opened


@pytest.fixture
def resolving(store: ObjectStore, servers: dict[str, str], tmp_path: Path, describer: Warm) -> Resolving:
    return Resolving(store, servers, tmp_path, describer)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="session")
def plain(folder: Path) -> bytes:
    """A 4 s MP4 with its index at the end."""
    return recorded(RECORDINGS[0], folder).read_bytes()
