from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sites.films import FOLDER, short_film
from tests.sites.site import Site, open_site


@pytest.fixture(scope="module")
def films(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.cache.mkdir(FOLDER)


@pytest.fixture(scope="module")
def film(films: Path) -> Path:
    return short_film(films)


@pytest.fixture
async def site(films: Path) -> AsyncIterator[Site]:
    async with open_site(films) as opened:
        yield opened
