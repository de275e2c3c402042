from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import load
from services.clipper.rendering import Tools, open_tools
from services.clipper.settings import ClipperSettings
from tests import media
from tests.clipper.running import Clipper


@pytest.fixture(scope="session")
async def objects(servers: dict[str, str]) -> AsyncIterator[ObjectStore]:
    async with open_object_store(load(ClipperSettings, servers)) as store:
        await store.ensure_buckets()
        yield store


@pytest.fixture(scope="session")
async def tools(servers: dict[str, str]) -> AsyncIterator[Tools]:
    """As in a service: one inspection, warm for all jobs."""
    async with open_tools(load(ClipperSettings, servers)) as opened:
        yield opened


@pytest.fixture
def clipper(objects: ObjectStore, servers: dict[str, str], tmp_path: Path, tools: Tools) -> Clipper:
    return Clipper(objects, servers, tmp_path, tools)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def plain(folder: Path) -> Path:
    """10 s at 30 frames a second, a keyframe every 2 s, B-frames, AAC; MP4."""
    return media.make(folder / "plain.mp4")
