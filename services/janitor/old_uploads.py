"""Uploads that are as old as a job may get and that no job needs: what came without a job, and what retention did not get to.

Seldom, since all uploads are looked through; those of a job go with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.common.runtime.background import every, for_ever
from libs.common.runtime.client_uploads import LIFE
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.object_store import Bucket, ObjectInfo
from libs.common.runtime.service import Connections
from services.janitor.known_jobs import UNKNOWN, knows_sources
from services.janitor.metrics import EXPIRED_UPLOADS
from services.janitor.removal import kept_of
from services.janitor.report import Report
from services.janitor.schedule import alone, reported
from services.janitor.settings import JanitorSettings
from services.janitor.storage_walk import is_upload


async def sweep_old_uploads(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time sweeps, for ever."""
    sweep = reported("old uploads", OldUploads(c.store, c.objects.sources, settings, knows_sources(c)).clean_up, settings)
    await for_ever("old uploads", alone(c.store, "old uploads", sweep), every(settings.old_uploads_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class OldUploads:
    store: EventStore
    bucket: Bucket
    settings: JanitorSettings
    is_ours: Callable[[], Awaitable[bool]]
    """Whether the bucket is the one that the database speaks of."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def clean_up(self) -> Report:
        report = Report()
        before = self.now() - max(timedelta(hours=self.settings.retention_hours), LIFE)
        old: list[ObjectInfo] = []
        async for upload in self.bucket.list("uploads/"):
            old += [upload] if upload.modified < before and is_upload(upload.key) else []
            if len(old) == self.settings.cleanup_batch_size:
                await self.clean(old, report)
                old = []
                await asyncio.sleep(self.settings.cleanup_pause_ms / 1000)
        await self.clean(old, report)
        return report

    async def clean(self, old: Sequence[ObjectInfo], report: Report) -> None:
        """A batch, but for what a job that still stands asked for, or its sender may still use."""
        needed = await self.store.needed_uploads([upload.key for upload in old])
        unneeded = {upload.key: upload for upload in old if upload.key not in needed}
        if unneeded and not await self.is_ours():
            report.left[UNKNOWN] += len(unneeded)
            return
        kept = set() if self.settings.cleanup_dry_run or not unneeded else await kept_of(self.bucket, list(unneeded))
        gone = [upload for key, upload in unneeded.items() if key not in kept]
        for upload in gone:
            report.note("uploads that no job needs", upload.key, size=upload.size, at=upload.modified)
        EXPIRED_UPLOADS.inc(0 if self.settings.cleanup_dry_run else len(gone))
