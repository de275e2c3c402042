"""Counts what happens to jobs: every event by whoever wrote it, every run's end by whoever brought it about. Each of them once."""

from libs.common.domain.events import Envelope, type_of
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job, apply
from libs.common.domain.run_end import run_end, run_end_after
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import EVENTS_WRITTEN, JOB_SECONDS, JOBS_FINISHED

log = logger(__name__)


def event_written(ours: Envelope, stands: Envelope) -> None:
    """What another wrote under the same id, they have counted."""
    if stands == ours:
        EVENTS_WRITTEN.labels(type_of(stands.event)).inc()


async def run_ended(store: EventStore, before: Job, ours: Envelope, stands: Envelope, *, is_next: bool = False) -> None:
    """If our event ended the job's run. `before` is the job as we saw it.

    Unless ours `is_next`, right behind all that we saw, another may have ended it since, so the job is looked at again.
    While nobody answers that question the end goes uncounted: what ended the job stands, and must not fail for a count.
    """
    if before.is_over or stands != ours or not apply(before, stands).is_over:
        return
    try:
        end = run_end_after(before, stands) if is_next else run_end(await store.history(stands.job_id), stands)
    except Failure as failure:
        log.warning("the end of a run is not counted", job_id=str(stands.job_id), error=failure.message)
        return
    if end:
        JOBS_FINISHED.labels(end.outcome).inc()
        JOB_SECONDS.labels(end.outcome, end.subtitles, end.priority).observe(end.seconds)
