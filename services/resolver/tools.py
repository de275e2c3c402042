"""What the resolver opens at its start: the warm libav, the guard of outside addresses, and the cache of what was fetched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from libs.common.runtime.context import Context
from libs.common.runtime.egress import Guard, open_guard
from libs.common.runtime.nursery import Nursery
from libs.common.runtime.source_cache import SourceCache, open_source_cache
from libs.common.runtime.warm_process import Warm, open_warm
from services.resolver.children import open_children
from services.resolver.probing import PROBES_AT_ONCE
from services.resolver.settings import ResolverSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    describer: Warm
    guard: Guard
    children: Nursery
    cache: SourceCache


Resolver: TypeAlias = Context[ResolverSettings, Tools]


@asynccontextmanager
async def open_tools(settings: ResolverSettings) -> AsyncIterator[Tools]:
    """A describing worker for each job and each probe in hand, started at need: most of a look is waiting for S3."""
    async with (
        open_warm("services.resolver.description", workers=settings.worker_max_concurrency + PROBES_AT_ONCE) as describer,
        open_guard(settings.url_rules, settings.name_servers) as guard,
        open_children(settings.caps.max_bytes) as children,
        open_source_cache(settings.database_url.reveal(), holder=settings.worker) as cache,
    ):
        yield Tools(describer=describer, guard=guard, children=children, cache=cache)
