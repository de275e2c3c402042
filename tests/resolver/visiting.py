"""Sends the fetching child to the sites of tests/sites, through the real guard and proxy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pytest

from libs.common.domain.failures import Failure
from libs.common.runtime.egress import Guard, open_guard
from libs.common.runtime.nursery import Nursery
from libs.common.runtime.settings import load
from services.resolver.fetch.words import Fetched, Found, Keyframes, Said
from services.resolver.settings import ResolverSettings
from services.resolver.visit import visit
from tests.sites.site import Site, open_site

NOWHERE = {"DATABASE_URL": "postgresql://nowhere.invalid/x", "NATS_URL": "nats://nowhere.invalid"}


@dataclass
class Visitor:
    """One site, and a resolver that is allowed to go there: its address is not public, nor its port an ordinary one."""

    site: Site
    guard: Guard
    children: Nursery
    folder: Path
    variables: dict[str, str]
    said: list[Said] = field(default_factory=list)

    async def visit(self, url: str, start: float = 8.4, end: float | None = 12.4, *, looks: bool = False, **variables: str) -> list[Said]:
        self.said = []
        settings = load(ResolverSettings, self.variables | variables)
        folder = None if looks else Path(mkdtemp(dir=self.folder))
        await visit(url, start, end, folder, self._hear, guard=self.guard, children=self.children, settings=settings)
        return self.said

    async def fetch(self, url: str, start: float = 8.4, end: float = 12.4, **variables: str) -> Fetched:
        said = await self.visit(url, start, end, **variables)
        return next(line for line in said if isinstance(line, Fetched))

    async def refusal(self, url: str, start: float = 8.4, end: float = 12.4, **variables: str) -> Failure:
        with pytest.raises(Failure) as raised:
            await self.visit(url, start, end, **variables)
        return raised.value

    @property
    def found(self) -> Found:
        return next(line for line in self.said if isinstance(line, Found))

    @property
    def keyframes(self) -> tuple[float, ...]:
        return next((line.times for line in self.said if isinstance(line, Keyframes)), ())

    async def _hear(self, said: Said) -> None:
        self.said.append(said)


def allowing(*ports: int) -> dict[str, str]:
    """Variables that let a resolver visit sites of this machine at these ports."""
    return {
        "ENABLE_YTDLP": "true",
        "YTDLP_GENERIC": "true",
        "ALLOWLIST_NETWORKS": "127.0.0.1/32",
        "ALLOWLIST_PORTS": ",".join(map(str, (80, 443, *ports))),
        "SOURCE_STALL_SEC": "1",
    }


@asynccontextmanager
async def open_visitor(films: Path, folder: Path, children: Nursery, *ports: int) -> AsyncIterator[Visitor]:
    """`ports`: allowed beside the site's own."""
    async with open_site(films) as site:
        variables = NOWHERE | allowing(site.port, *ports)
        settings = load(ResolverSettings, variables)
        async with open_guard(settings.url_rules) as guard:
            yield Visitor(site, guard, children, folder, variables)
