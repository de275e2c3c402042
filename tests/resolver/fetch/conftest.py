"""The short film of tests/sites, kept from session to session, on a site of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resolver.fetch.serving import Site, open_site
from tests.sites.films import FOLDER, short_film


@pytest.fixture(scope="session")
def short(pytestconfig: pytest.Config) -> Path:
    return short_film(Path(pytestconfig.cache.mkdir(FOLDER)))


@pytest.fixture
def site(short: Path) -> Iterator[Site]:
    """All packagings that are made, and the film itself."""
    with open_site(short.parent) as opened:
        yield opened
