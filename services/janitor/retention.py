"""What has expired: jobs with their files, and uploads that no job needs. Objects first, rows after; each step may be repeated.

An expired job leaves job.expired behind, so that it answers 410 for as long again as it was kept; then that goes too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.domain.event_ids import expiry_id
from libs.common.domain.events import ClipsRequested, Envelope, JobExpired, type_of
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job, fold
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.service import Connections
from libs.common.runtime.telemetry import EVENTS_WRITTEN, JOBS_FINISHED, logger
from services.janitor.metrics import EXPIRED_JOBS, EXPIRED_UPLOADS
from services.janitor.schedule import alone, in_batches
from services.janitor.settings import JanitorSettings

log = logger(__name__)


async def retire(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time cleans up, for ever."""
    retention = Retention(c.store, c.objects, settings)
    await for_ever("retention", alone(c.store, "retention", retention.clean_up), every(settings.retention_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class Retention:
    store: EventStore
    objects: ObjectStore
    settings: JanitorSettings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def kept(self) -> timedelta:
        return timedelta(hours=self.settings.retention_hours)

    async def clean_up(self) -> None:
        """Batch after batch while they are full and go away; then the uploads."""
        await in_batches(self.clean_batch, self.settings)
        await self.clean_uploads()

    async def clean_batch(self) -> int:
        """The number of jobs that are gone."""
        jobs = await self.store.expired(self.now(), self.settings.cleanup_batch_size)
        return sum([await self.clean(job_id) for job_id in jobs])

    async def clean(self, job_id: UUID) -> bool:
        """One job whose time is up, or what its first visit left of it. False when it stays: a dry run, or S3 keeps an object."""
        if self.settings.cleanup_dry_run:
            log.info("would delete a job", job_id=str(job_id))
            return False
        try:
            await self.remove(job_id)
        except Failure as failure:
            if failure.outage:
                raise
            log.error("job can't be deleted", job_id=str(job_id), error=failure.message)  # noqa: TRY400  the text says it all
            return False
        return True

    async def remove(self, job_id: UUID) -> None:
        job = fold(await self.store.history(job_id))
        if job.requested:
            await self.mark(job_id, job)
        fault_point("janitor", "expiry_marked", job_id)
        await self.objects.remove_job(job_id)
        fault_point("janitor", "expiry_emptied", job_id)
        if job.requested is None:
            await self.store.purge(job_id)
            return
        await self.store.forget(job_id, until=self.now() + self.kept)
        await self.remove_source(job.requested)
        EXPIRED_JOBS.inc()
        log.info("job expired", job_id=str(job_id), correlation_id=job.correlation_id, status=job.status)

    async def mark(self, job_id: UUID, job: Job) -> None:
        """From here on the job is over: a stage that works on it stops at its next look. To other tenants it stays unknown."""
        event = JobExpired(tenant=job.tenant)
        envelope = Envelope(id=expiry_id(job_id), job_id=job_id, run=job.run, at=self.now(), correlation_id=job.correlation_id, event=event)
        await self.store.append(envelope)
        EVENTS_WRITTEN.labels(type_of(envelope.event)).inc()
        if not job.is_over:
            JOBS_FINISHED.labels("expired").inc()

    async def remove_source(self, requested: ClipsRequested) -> None:
        """The upload goes with the last job of it; what is left behind here, `clean_uploads` finds."""
        if requested.upload_key and not await self.store.is_upload_needed(requested.upload_key):
            await self.remove_upload(requested.upload_key)

    async def clean_uploads(self) -> None:
        """Uploads that are as old as a job may get, unless a job that still stands asked for a clip of them."""
        before = self.now() - self.kept
        async for upload in self.objects.sources.list("uploads/"):
            if upload.modified < before and not await self.store.is_upload_needed(upload.key):
                await self.remove_upload(upload.key)

    async def remove_upload(self, key: str) -> None:
        if self.settings.cleanup_dry_run:
            log.info("would delete an upload", key=key)
            return
        await self.objects.sources.delete([key])
        EXPIRED_UPLOADS.inc()
