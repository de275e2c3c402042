"""Fetched sources whose time is up: the object first, its row after; each step may be repeated. Jobs have copies of their own.

Objects that no row names go too: what a resolver uploaded before it died.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.common.domain.failures import Failure
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.object_store import Bucket
from libs.common.runtime.service import Connections
from libs.common.runtime.source_cache import SourceCache, Spent, open_source_cache
from libs.common.runtime.telemetry import logger
from services.janitor.metrics import CACHED_SOURCES_EXPIRED
from services.janitor.schedule import alone, in_batches
from services.janitor.settings import JanitorSettings

log = logger(__name__)
PREFIX = "sources/cache/"
GRACE = 300.0
"""Seconds that a job has to copy what it was given in a source's last moment."""
ORPHANED_AFTER = timedelta(hours=1)


async def evict_sources(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time empties the source cache of what is old, for ever."""
    async with open_source_cache(settings.database_url.reveal(), holder=settings.worker, connections=1) as cache:
        eviction = Eviction(cache, c.objects.sources, settings)
        await for_ever("source cache", alone(c.store, "source cache", eviction.clean_up), every(settings.retention_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class Eviction:
    cache: SourceCache
    bucket: Bucket
    settings: JanitorSettings
    grace: float = GRACE
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def clean_up(self) -> None:
        """Batch after batch while they are full and go away; then the orphans."""
        await in_batches(self.clean_batch, self.settings)
        await self.clean_orphans()

    async def clean_batch(self) -> int:
        """The number of rows that are gone."""
        spent = await self.cache.expired(self.grace, self.settings.cleanup_batch_size)
        gone = [each.fetch_id for each in spent if await self.is_rid_of(each)]
        await self.cache.remove(gone)
        return len(gone)

    async def is_rid_of(self, spent: Spent) -> bool:
        """Whether the row may go: it names no object, or its object is gone."""
        if self.settings.cleanup_dry_run:
            log.info("would delete a row of the source cache", fetch_id=str(spent.fetch_id), key=spent.object_key)
            return False
        return spent.object_key is None or await self.is_deleted(spent.object_key)

    async def is_deleted(self, key: str) -> bool:
        """False when S3 keeps the object."""
        try:
            await self.bucket.delete([key])
        except Failure as failure:
            if failure.outage:
                raise
            log.error("fetched source can't be deleted", key=key, error=failure.message)  # noqa: TRY400  the text says it all
            return False
        CACHED_SOURCES_EXPIRED.inc()
        return True

    async def clean_orphans(self) -> None:
        before = self.now() - ORPHANED_AFTER
        old = [found.key async for found in self.bucket.list(PREFIX) if found.modified < before]
        for key in sorted(set(old) - await self.cache.named(old)):
            if self.settings.cleanup_dry_run:
                log.info("would delete a fetched source that nothing names", key=key)
            else:
                await self.is_deleted(key)
