"""Uploads whose time is up: what S3 has of each first, its row after; each step may be repeated. A job that needs one keeps it.

Multipart uploads that no row names go too: what a process began and died of. Objects without a row are retention's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.domain.failures import Failure
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.client_uploads import LIFE, Unfinished
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.janitor.metrics import ABANDONED_UPLOADS, UPLOAD_RECORDS_REMOVED
from services.janitor.removal import kept_of, refused
from services.janitor.report import Report
from services.janitor.schedule import LOOKED_AT, alone, reported
from services.janitor.settings import JanitorSettings
from services.janitor.storage_walk import is_cached, is_upload, owner_of

log = logger(__name__)
GRACE = timedelta(hours=1)
"""What a request gets that found the upload in its last moment."""
EVER = datetime(1970, 1, 1, tzinfo=UTC)
ABORTS = 16
"""At once."""


async def sweep_uploads(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time sweeps, for ever."""
    sweep = upload_sweep(settings, c)
    await for_ever(
        "uploads", alone(c.store, "uploads", reported("uploads", sweep.clean_up, settings)), every(settings.retention_every_sec, c.health)
    )


def upload_sweep(settings: JanitorSettings, c: Connections) -> "UploadSweep":
    return UploadSweep(Statements(c.pool, "upload_sweep.sql", "services.janitor"), c.objects, settings)


@dataclass(frozen=True, slots=True)
class UploadSweep:
    sql: Statements
    objects: ObjectStore
    settings: JanitorSettings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def clean_up(self) -> Report:
        """Batch after batch; then what no row names. In a dry run only a look."""
        report, is_dry = Report(), self.settings.cleanup_dry_run
        async for rows in self.expired(LOOKED_AT if is_dry else self.settings.cleanup_batch_size):
            if is_dry:
                self.note(report, rows)
            elif rows:
                await self.clean_batch(report, rows)
                await asyncio.sleep(self.settings.cleanup_pause_ms / 1000)
        for bucket in {each.name: each for each in (self.objects.sources, self.objects.results)}.values():  # it may be one
            await self.abort_abandoned(bucket, report)
        return report

    async def expired(self, limit: int) -> AsyncIterator[list[Any]]:
        """Page after page, oldest first, those of each that no job needs."""
        before, after = self.now() - GRACE, (EVER, UUID(int=0))
        while page := await self.sql.rows("expired", before, *after, limit):
            after = page[-1]["expires_at"], page[-1]["id"]
            yield [row for row in page if not row["is_needed"]]

    async def clean_batch(self, report: Report, rows: Sequence[Any]) -> None:
        """S3 first: a row of which it keeps something stays."""
        kept = await self.abort(
            [Unfinished(row["key"], row["multipart_id"], row["created_at"]) for row in rows if row["state"] == "uploading"]
        )
        kept |= await kept_of(self.objects.sources, [row["key"] for row in rows if row["key"] not in kept])
        gone = [row for row in rows if row["key"] not in kept]
        await self.sql.rows("remove", [row["id"] for row in gone])
        UPLOAD_RECORDS_REMOVED.inc(len(gone))
        self.note(report, gone)

    def note(self, report: Report, rows: Iterable[Any]) -> None:
        for row in rows:
            size = row["size"] if row["state"] == "complete" else 0
            report.note(f"rows of uploads, {row['state']}", row["key"], size=size, at=row["created_at"])

    async def abort_abandoned(self, bucket: Bucket, report: Report) -> None:
        """Those of ours that are older than any row of an upload that is not complete; nothing else takes a day either."""
        before = self.now() - LIFE - GRACE
        old = [each async for each in bucket.client_uploads.unfinished() if each.begun < before and is_ours(each.key)]
        kept = set() if self.settings.cleanup_dry_run else await self.abort(old, bucket)
        for each in old:
            if each.key not in kept:
                report.note("unfinished multipart uploads", each.key, at=each.begun)

    async def abort(self, uploads: Iterable[Unfinished], bucket: Bucket | None = None) -> set[str]:
        """The keys of those that S3 keeps."""
        places, of = asyncio.Semaphore(ABORTS), bucket or self.objects.sources

        async def aborted(each: Unfinished) -> bool:
            async with places:
                return await is_aborted(of, each)

        uploads = list(uploads)
        ends = await asyncio.gather(*map(aborted, uploads))
        return {each.key for each, is_over in zip(uploads, ends, strict=True) if not is_over}


def is_ours(key: str) -> bool:
    """Others may have the bucket too, and folders of such names."""
    return is_upload(key) or is_cached(key) or owner_of(key) is not None


async def is_aborted(bucket: Bucket, each: Unfinished) -> bool:
    """Raises an outage."""
    try:
        await bucket.client_uploads.abort(each.key, each.upload_id)
    except Failure as failure:
        refused(failure, 1)
        return False
    ABANDONED_UPLOADS.inc()
    return True
