"""Uploads whose time is up: what S3 has of each first, its row after; each step may be repeated. A job that needs one keeps it.

Multipart uploads that no row names go too: what a process began and died of. Objects without a row are retention's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.domain.failures import Failure
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.client_uploads import LIFE, Unfinished
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from libs.common.runtime.telemetry import logger
from services.janitor.metrics import ABANDONED_UPLOADS, UPLOAD_RECORDS_REMOVED
from services.janitor.schedule import alone, in_batches
from services.janitor.settings import JanitorSettings

log = logger(__name__)
GRACE = timedelta(hours=1)
"""What a request gets that found the upload in its last moment."""
OURS = ("uploads/", "sources/", "results/")
"""Others may have the bucket too."""


async def sweep_uploads(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time sweeps, for ever."""
    sweep = UploadSweep(Statements(c.pool, "upload_sweep.sql", "services.janitor"), c.objects, settings)
    await for_ever("uploads", alone(c.store, "uploads", sweep.clean_up), every(settings.retention_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class UploadSweep:
    sql: Statements
    objects: ObjectStore
    settings: JanitorSettings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def clean_up(self) -> None:
        """Batch after batch while they are full and go away; then what no row names."""
        await in_batches(self.clean_batch, self.settings)
        for bucket in (self.objects.sources, self.objects.results):
            await self.abort_abandoned(bucket)

    async def clean_batch(self) -> int:
        """The number of rows that are gone."""
        rows = await self.sql.rows("expired", self.now() - GRACE, self.settings.cleanup_batch_size)
        gone = [row["id"] for row in rows if await self.is_rid_of(row)]
        await self.sql.rows("remove", gone)
        if gone:
            UPLOAD_RECORDS_REMOVED.inc(len(gone))
        return len(gone)

    async def is_rid_of(self, row: Any) -> bool:
        """Whether S3 has nothing of it any more. False in a dry run, and when S3 keeps it."""
        if self.settings.cleanup_dry_run:
            log.info("would delete an upload with its row", key=row["key"], state=row["state"])
            return False
        sources = self.objects.sources
        try:
            if row["state"] == "uploading":
                await self.abort(sources, row["key"], row["multipart_id"])
            await sources.delete([row["key"]])
        except Failure as failure:
            return _is_kept(failure, row["key"])
        return True

    async def abort_abandoned(self, bucket: Bucket) -> None:
        """Those of ours that are older than any row of an upload that is not complete; nothing else takes a day either."""
        before = self.now() - LIFE - GRACE
        old = [each async for each in bucket.client_uploads.unfinished() if each.begun < before and each.key.startswith(OURS)]
        for each in old:
            if self.settings.cleanup_dry_run:
                log.info("would abort an upload", key=each.key)
            else:
                await self.abort_one(bucket, each)

    async def abort_one(self, bucket: Bucket, each: Unfinished) -> None:
        try:
            await self.abort(bucket, each.key, each.upload_id)
        except ValueError:  # not an object key as we make them: somebody else uses the folder too
            log.warning("an unfinished upload that is not ours was left alone", key=each.key)
        except Failure as failure:
            _is_kept(failure, each.key)

    async def abort(self, bucket: Bucket, key: str, multipart_id: str) -> None:
        await bucket.client_uploads.abort(key, multipart_id)
        ABANDONED_UPLOADS.inc()


def _is_kept(failure: Failure, key: str) -> bool:
    """False: it is not gone. Raises an outage, which ends the sweep."""
    if failure.outage:
        raise failure
    log.error("upload can't be deleted", key=key, error=failure.message)
    return False
