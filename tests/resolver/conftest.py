from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.runtime.nursery import Nursery
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.resolver.children import open_children
from services.resolver.settings import ResolverSettings
from services.resolver.tools import Tools, open_tools
from tests import media
from tests.resolver.downloading import Downloads
from tests.resolver.recordings import RECORDINGS, recorded
from tests.resolver.running import Resolving
from tests.resolver.visiting import Visitor, allowing, open_visitor
from tests.sites.films import film, short_film
from tests.sites.site import open_site


@pytest.fixture(scope="session")
async def store(servers: dict[str, str]) -> AsyncIterator[ObjectStore]:
    # One try of each request: an outage is then told at once.
    async with open_object_store(load(ResolverSettings, servers | {"STORAGE_UPLOAD_ATTEMPTS": "1"})) as opened:
        await opened.ensure_buckets()
        yield opened


@pytest.fixture(scope="session")
async def tools(servers: dict[str, str]) -> AsyncIterator[Tools]:
    async with open_tools(load(ResolverSettings, servers)) as opened:
        yield opened


@pytest.fixture
def resolving(store: ObjectStore, servers: dict[str, str], tmp_path: Path, tools: Tools) -> Resolving:
    return Resolving(store, servers, tmp_path, tools)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="session")
def plain(folder: Path) -> bytes:
    """A 4 s MP4 with its index at the end."""
    return recorded(RECORDINGS[0], folder).read_bytes()


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def short(films: Path) -> Path:
    """20 s of numbered pictures."""
    return short_film(films)


@pytest.fixture(scope="session")
def long(films: Path) -> Path:
    """200 s of the same, so that parts of it can lie far apart."""
    return film(films / "long.mp4", 200)


@pytest.fixture(scope="session")
async def children() -> AsyncIterator[Nursery]:
    """Shared, so that what one test starts ahead serves the next."""
    async with open_children(1 << 30) as opened:
        yield opened


@pytest.fixture
async def visitor(films: Path, tmp_path: Path, children: Nursery) -> AsyncIterator[Visitor]:
    async with open_visitor(films, tmp_path, children) as opened:
        yield opened


@pytest.fixture
async def downloads(
    store: ObjectStore, servers: dict[str, str], films: Path, tmp_path: Path, tools: Tools, children: Nursery
) -> AsyncIterator[Downloads]:
    """With the processes that the session's tests share."""
    async with open_site(films) as site:
        variables = servers | allowing(site.port) | {"FFPROBE_BIN": media.FFPROBE}
        async with open_tools(load(ResolverSettings, variables)) as own:
            yield Downloads(site, store, variables, tmp_path, replace(own, describer=tools.describer, children=children))
