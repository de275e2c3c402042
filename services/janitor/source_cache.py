"""Fetched sources whose time is up: the object first, its row after; each step may be repeated. Jobs have copies of their own.

Objects that no row names go too: what a resolver uploaded before it died.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from libs.common.runtime.background import every, for_ever
from libs.common.runtime.object_store import Bucket, ObjectInfo
from libs.common.runtime.service import Connections
from libs.common.runtime.source_cache import SourceCache, Spent, open_source_cache
from services.janitor.known_jobs import UNKNOWN, knows_sources
from services.janitor.metrics import CACHED_SOURCES_EXPIRED
from services.janitor.removal import kept_of
from services.janitor.report import Report
from services.janitor.schedule import LOOKED_AT, alone, in_batches, reported
from services.janitor.settings import JanitorSettings
from services.janitor.storage_walk import CACHE as PREFIX
from services.janitor.storage_walk import is_cached

GRACE = 300.0
"""Seconds that a job has to copy what it was given in a source's last moment."""
ORPHANED_AFTER = timedelta(hours=1)


async def evict_sources(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time empties the source cache of what is old, for ever."""
    async with open_source_cache(settings.database_url.reveal(), holder=settings.worker, connections=1) as cache:
        sweep = reported("source cache", Eviction(cache, c.objects.sources, settings, knows_sources(c)).clean_up, settings)
        await for_ever("source cache", alone(c.store, "source cache", sweep), every(settings.retention_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class Eviction:
    cache: SourceCache
    bucket: Bucket
    settings: JanitorSettings
    is_ours: Callable[[], Awaitable[bool]]
    """Whether the bucket is the one that the database speaks of."""
    grace: float = GRACE
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def clean_up(self) -> Report:
        """Batch after batch while they are full and go away; then the orphans. In a dry run only a look."""
        report = Report()
        if self.settings.cleanup_dry_run:
            self.note(report, await self.cache.expired(self.grace, LOOKED_AT))
        else:
            await in_batches(partial(self.clean_batch, report), self.settings)
        await self.clean_orphans(report)
        return report

    async def clean_batch(self, report: Report) -> int:
        """The number of rows that are gone: each names no object, or its object is gone."""
        spent = await self.cache.expired(self.grace, self.settings.cleanup_batch_size)
        kept = await self.removed([each.object_key for each in spent if each.object_key])
        gone = [each for each in spent if each.object_key not in kept]
        await self.cache.remove([each.fetch_id for each in gone])
        self.note(report, gone)
        return len(gone)

    def note(self, report: Report, spent: Iterable[Spent]) -> None:
        for each in spent:
            report.note("fetched sources" if each.object_key else "transcripts and broken fetches", each.object_key or str(each.fetch_id))

    async def removed(self, keys: Sequence[str]) -> set[str]:
        """Those that S3 keeps."""
        kept = await kept_of(self.bucket, keys)
        CACHED_SOURCES_EXPIRED.inc(len(keys) - len(kept))
        return kept

    async def clean_orphans(self, report: Report) -> None:
        before, old = self.now() - ORPHANED_AFTER, list[ObjectInfo]()
        async for found in self.bucket.list(PREFIX):
            old += [found] if found.modified < before and is_cached(found.key) else []
            if len(old) == self.settings.cleanup_batch_size:
                await self.clean_unnamed(old, report)
                old = []
        await self.clean_unnamed(old, report)

    async def clean_unnamed(self, old: Sequence[ObjectInfo], report: Report) -> None:
        named = await self.cache.named([found.key for found in old])
        orphans = [found for found in old if found.key not in named]
        if orphans and not await self.is_ours():
            report.left[UNKNOWN] += len(orphans)
            return
        kept = set() if self.settings.cleanup_dry_run else await self.removed([found.key for found in orphans])
        for found in orphans:
            if found.key not in kept:
                report.note("fetched sources that nothing names", found.key, size=found.size, at=found.modified)
