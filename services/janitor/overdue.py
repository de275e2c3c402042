"""Which message of a silent job ought to be in the queue. Decides only; reconciler.py looks and publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.domain.causes import cause_for
from libs.common.domain.events import AnyEvent, Envelope, StageName, StageProgress, StageRetried, StageStarted
from libs.common.domain.job import Job, fold
from libs.common.domain.progress import stages_of


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a job may be silent, in seconds: while it waits for a stage, and beyond what an attempt or a retry may take."""

    queued: float
    attempt: float
    margin: float

    @property
    def least(self) -> timedelta:
        return timedelta(seconds=min(self.queued, self.margin))

    def after(self, event: AnyEvent) -> timedelta:
        """The silence that is allowed after this event."""
        match event:
            case StageStarted() | StageProgress():
                return timedelta(seconds=self.attempt + self.margin)
            case StageRetried(delay=delay):
                return timedelta(seconds=delay + self.margin)
            case _:
                return timedelta(seconds=self.queued)


def awaited_stage(job: Job) -> StageName | None:
    """The stage that the job stands at: in this run, the first that has not answered, from the one it was last heard of."""
    if job.is_over or job.requested is None:
        return None
    stages = stages_of(job.requested)
    begin = stages.index(job.stage) if job.stage in stages else 0
    return next((stage for stage in stages[begin:] if not job.answer_to(stage, job.run)), None)


def overdue(history: Sequence[Envelope], now: datetime, deadlines: Deadlines) -> Envelope | None:
    """The cause that the job's stage should be working on, when the job has been silent past its deadline."""
    job = fold(history)
    stage = awaited_stage(job)
    if stage is None or now - history[-1].at <= deadlines.after(history[-1].event):
        return None
    return cause_for(job, stage)
