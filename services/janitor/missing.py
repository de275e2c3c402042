"""Jobs that are done and whose files are not there: they run again from the stage that makes them, or say what is left of them.

A job is acted on after a second look at its history and at each file: what is being made, edited, deleted or expires is left alone.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.domain.causes import cause_for
from libs.common.domain.events import Envelope
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job, apply, fold
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.job_counts import event_written, run_ended
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.janitor.findings import Missing, Seen, Tell
from services.janitor.known_jobs import histories
from services.janitor.lost_files import Remedy, envelopes, remedy, results_of, sources_of
from services.janitor.metrics import MISSING_OBJECTS
from services.janitor.overdue import awaited_stage
from services.janitor.settings import JanitorSettings
from services.janitor.storage_walk import beside, by_owner

log = logger(__name__)
PAGE = 100
QUIET = timedelta(hours=1)
"""Since the job's last event, and until its end: nothing is under way, and a repair is worth it."""


@dataclass(slots=True)
class MissingFiles:
    sql: Statements
    c: Connections
    settings: JanitorSettings
    tell: Tell
    seen: Seen
    act: bool
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    is_sure: bool = False
    """Whether both buckets are those that the database speaks of: where one may be another's, no job is given up."""

    async def look(self) -> None:
        listed = self.c.objects.results.list("results/")
        async for job, there in beside(self.done_jobs(), by_owner(found.key async for found in listed)):
            self.seen.jobs += 1
            if not there.issuperset(results_of(job)):
                await self.settle(job)

    async def done_jobs(self) -> AsyncIterator[tuple[UUID, Job]]:
        """By id, a page at a time."""
        after = UUID(int=0)
        while rows := await self.sql.rows("closed", after, self.now() + QUIET, PAGE):
            ids = [row["job_id"] for row in rows]
            after = ids[-1]
            for history in await histories(self.sql, ids):
                if self.is_quiet(history):
                    yield history[0].job_id, fold(history)

    def is_quiet(self, history: list[Envelope]) -> bool:
        """Done, for a while, and not about to expire."""
        job = fold(history)
        return job.status == "done" and history[-1].at < self.now() - QUIET

    async def settle(self, job: Job) -> None:
        """One job that seems to lack files. What goes wrong with it is left for the next look; an outage ends this one."""
        assert job.id  # noqa: S101  a job that is done has one
        try:
            await self.look_again(job.id)
        except Failure as failure:
            if failure.outage:
                raise
            log.error("a job's files can't be made again", job_id=str(job.id), error=failure.message)  # noqa: TRY400  the text says it all

    async def look_again(self, job_id: UUID) -> None:
        history = await self.c.store.history(job_id)
        if not self.is_quiet(history):
            return
        job = fold(history)
        missing = await self.absent(self.c.objects.results, results_of(job))
        if not missing:
            return
        sources = sources_of(job)
        chosen = remedy(job, missing, has_source=bool(sources) and not await self.absent(self.c.objects.sources, sources))
        repaired = self.may(chosen) and await self.repair(job, chosen)
        MISSING_OBJECTS.labels(chosen.outcome).inc(len(missing) if repaired else 0)
        self.tell(Missing(job_id=job_id, keys=missing, remedy=chosen.words, outcome=chosen.outcome, repaired=repaired))

    async def absent(self, bucket: Bucket, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([key for key in keys if await bucket.head(key) is None])

    def may(self, chosen: Remedy) -> bool:
        """A bounded number in one look: a bucket that was emptied must not flood the queue."""
        return self.act and self.seen.repaired < self.settings.cleanup_batch_size and (chosen.outcome == "repaired" or self.is_sure)

    async def repair(self, job: Job, chosen: Remedy) -> bool:
        """Record, in one transaction, then publish. False when another replay opened the run first."""
        events = envelopes(job, chosen, self.now())
        fault_point("janitor", "repair_chosen", job.id)
        if not await self.is_recorded(job, events):
            return False
        fault_point("janitor", "repair_recorded", job.id)
        for each in events:
            event_written(each, each)
            await run_ended(self.c.store, job, each, each)
            job = apply(job, each)
        await self.publish(job)
        fault_point("janitor", "repair_published", job.id)
        return True

    async def is_recorded(self, job: Job, events: list[Envelope]) -> bool:
        assert job.expires_at  # noqa: S101  a job that was requested has one
        async with self.sql.transaction("repair") as connection:
            for each in events:
                if await self.c.store.append_within(connection, each, expires_at=job.expires_at) != each:
                    return False
        return True

    async def publish(self, job: Job) -> None:
        """What the job awaits now, if anything. The reconciler publishes it too, where this fails."""
        stage = awaited_stage(job)
        cause = cause_for(job, stage) if stage else None
        if cause is None:
            return
        try:
            await self.c.bus.publish(cause)
        except Failure as failure:
            log.warning("not published; the reconciler will", job_id=str(job.id), error=failure.message)
