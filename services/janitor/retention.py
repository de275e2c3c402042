"""Jobs whose time is up go with their files: by batches, objects first, rows after; each step may be repeated.

An expired job leaves job.expired behind, so that it answers 410 for as long again as it was kept; then that goes too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from libs.common.domain.due import Due
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.job_counts import event_written, run_ended
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.service import Connections
from services.janitor.expiry import Expire, Fate, Purge, PutOff, bytes_of, fate_of, files_of
from services.janitor.metrics import EXPIRED_JOBS, EXPIRED_UPLOADS
from services.janitor.removal import kept_of, removed
from services.janitor.report import Report
from services.janitor.schedule import LOOKED_AT, alone, in_batches, reported
from services.janitor.settings import JanitorSettings

log = logger(__name__)
TRY_AGAIN = timedelta(hours=1)
"""At a job of which S3 keeps a file: until then it is in no other's way."""


async def retire(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time cleans up, for ever."""
    sweep = reported("retention", Retention(c.store, c.objects, settings).clean_up, settings)
    await for_ever("retention", alone(c.store, "retention", sweep), every(settings.retention_every_sec, c.health))


@dataclass(frozen=True, slots=True)
class Retention:
    store: EventStore
    objects: ObjectStore
    settings: JanitorSettings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def kept(self) -> timedelta:
        return timedelta(hours=self.settings.retention_hours)

    @property
    def silence(self) -> timedelta:
        """Of a job at work that is stuck. However short jobs are kept, an attempt may say nothing for as long as it lasts."""
        return max(self.kept, timedelta(hours=1, seconds=self.settings.clip_max_runtime_sec))

    async def clean_up(self) -> Report:
        """Batch after batch while they are full. In a dry run only a look."""
        report = Report()
        if self.settings.cleanup_dry_run:
            await self.look(report)
        else:
            await in_batches(partial(self.clean_batch, report), self.settings)
        return report

    async def look(self, report: Report) -> None:
        now = self.now()
        due = await self.store.expired(now, LOOKED_AT)
        self.note(report, self.fates(due))
        if len(due) == LOOKED_AT and (rest := await self.store.overdue(now) - len(due)) > 0:
            report.more["jobs"] = rest

    async def clean_batch(self, report: Report) -> int:
        """The number of jobs whose turn it was. None of them is in the next batch: it is gone, or put off."""
        due = await self.store.expired(self.now(), self.settings.cleanup_batch_size)
        self.note(report, await self.clean(self.fates(due)))
        return len(due)

    def fates(self, due: Iterable[Due]) -> list[tuple[Due, Fate]]:
        return [(each, fate_of(each, self.now(), self.silence)) for each in due]

    def note(self, report: Report, fates: Iterable[tuple[Due, Fate]]) -> None:
        for due, fate in fates:
            if isinstance(fate, PutOff):
                report.left["jobs at work, put off"] += 1
                continue
            at = due.history[0].at if due.history else None
            report.note("jobs" if isinstance(fate, Expire) else "last traces of jobs", str(due.job_id), size=bytes_of(due), at=at)

    async def clean(self, fates: Sequence[tuple[Due, Fate]]) -> list[tuple[Due, Fate]]:
        """A batch, and all steps for all of it: those that are done with."""
        await self.store.put_off({due.job_id: fate.until for due, fate in fates if isinstance(fate, PutOff)}, unless_expired=True)
        over = await self.mark([(due, fate) for due, fate in fates if isinstance(fate, Expire)])
        traces = [due for due, fate in fates if isinstance(fate, Purge)]
        for due, _ in over:
            fault_point("janitor", "expiry_marked", due.job_id)
        kept = await removed(self.objects, {due.job_id: files_of(due) for due in (*traces, *(due for due, _ in over))})
        for due, _ in over:
            fault_point("janitor", "expiry_emptied", due.job_id)
        await self.store.put_off(dict.fromkeys(kept, self.now() + TRY_AGAIN), unless_expired=False)
        await self.store.purge({due.job_id: due.seq for due in traces if due.job_id not in kept})
        await self.forget([(due, fate) for due, fate in over if due.job_id not in kept])
        stayed = kept | {due.job_id for due, fate in fates if isinstance(fate, Expire)} - {due.job_id for due, _ in over}
        return [(due, fate) for due, fate in fates if due.job_id not in stayed]

    async def mark(self, ending: Sequence[tuple[Due, Expire]]) -> list[tuple[Due, Expire]]:
        """Those that are over from here on. A job that a client or an operator brought back to work meanwhile is left to it."""
        ended = await self.store.expire([(fate.event, due.seq + 1) for due, fate in ending if fate.event])
        for due, fate in ending:
            if fate.event and due.job_id in ended:
                event_written(fate.event, fate.event)
            if fate.event and due.job_id in ended and fate.is_stuck:
                log.warning("job was silent for as long as jobs are kept: it is ended", job_id=str(due.job_id), status=fate.job.status)
                await run_ended(self.store, fate.job, fate.event, fate.event)
        return [(due, fate) for due, fate in ending if fate.event is None or due.job_id in ended]

    async def forget(self, over: Sequence[tuple[Due, Expire]]) -> None:
        await self.store.forget([due.job_id for due, _ in over], until=self.now() + self.kept)
        for due, fate in over:
            log.info("job expired", job_id=str(due.job_id), correlation_id=fate.job.correlation_id, status=fate.job.status)
        EXPIRED_JOBS.inc(len(over))
        asked = [fate.job.requested for _, fate in over if fate.job.requested]
        await self.remove_uploads({one.upload_key for one in asked if one.upload_key})

    async def remove_uploads(self, keys: Iterable[str]) -> None:
        """An upload goes with the last job of it; what is left behind here, old_uploads.py finds."""
        if unneeded := sorted({*keys} - await self.store.needed_uploads(list(keys))):
            EXPIRED_UPLOADS.inc(len(unneeded) - len(await kept_of(self.objects.sources, unneeded)))
