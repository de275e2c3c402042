"""A job is the fold of its events: the only place that knows what a status is. See docs/job-states.md for the diagram."""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from itertools import chain
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.common.domain.edits import edit_key, is_edit
from libs.common.domain.events import (
    CANCELLED,
    Answer,
    AsrDone,
    AsrFailed,
    BurnFailed,
    ClipBurned,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    Event,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    LetterDiscarded,
    Priority,
    SourceReady,
    StageName,
    StageProgress,
    StageRetried,
    StageStarted,
)
from libs.common.domain.failures import Code, Failure
from libs.common.domain.progress import progress_at
from libs.common.domain.values import Notice

_MADE = {StageName.RESOLVER: "source", StageName.CLIPPER: "clip", StageName.ASR: "subtitles", StageName.BURNER: "burned"}
Status = Literal["unknown", "queued", "processing", "done", "failed", "cancelled", "expired"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a job after the events so far. `attempts` counts charged starts by (stage, run)."""

    id: UUID | None = None
    correlation_id: str = ""
    tenant: str = ""
    priority: Priority = Priority.NORMAL
    traceparent: str | None = None
    run: int = 1
    status: Status = "unknown"
    stage: StageName | None = None
    progress: float = 0.0
    requested: ClipsRequested | None = None
    source: SourceReady | None = None
    clip: ClipUploaded | None = None
    subtitles: AsrDone | None = None
    language: str | None = None
    """Of the last subtitles that were made, also while others are."""
    burned: ClipBurned | None = None
    failure: JobFailed | None = None
    optional_failures: dict[StageName, AsrFailed | BurnFailed] = {}
    answers: dict[tuple[StageName, int], Envelope] = {}
    attempts: dict[tuple[StageName, int], int] = {}
    at_work: dict[StageName, Envelope] = {}
    """In this run, a stage's last start, while nobody has heard the end of it: its worker is at work, or died."""
    replays: dict[str, int] = {}
    edit: str | None = None
    """The source of the replay that put the client's last edited transcript back."""
    created_at: datetime | None = None
    run_began: datetime | None = None
    """When this run did: with the request, or with the replay or the edit."""
    updated_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status in {"done", "failed", "cancelled", "expired"}

    @property
    def failed_stage(self) -> StageName | None:
        """The stage that a replay would run again: the one that failed the job, or an optional one that did."""
        if self.status == "failed" and self.failure:
            return self.failure.stage
        if self.status == "done":
            return next(iter(self.optional_failures), None)
        return None

    @property
    def is_editable(self) -> bool:
        """Whether an edited transcript can be put back: subtitles were asked for, and nothing is under way."""
        return self.status == "done" and self.requested is not None and self.requested.with_subtitles

    @property
    def is_edited(self) -> bool:
        """Whether the subtitles are, or are to be made, of what a client put back instead of a transcription."""
        return self.edit is not None

    @property
    def edited_key(self) -> str | None:
        """The object that holds the edited transcript."""
        return edit_key(self.id, self.edit) if self.id and self.edit else None

    @property
    def error(self) -> Failure | None:
        """Why the job failed. A code that a newer version of the system wrote is internal to this one."""
        if self.failure is None:
            return None
        code = Code(self.failure.code) if self.failure.code in Code.__members__ else Code.INTERNAL
        return Failure(code, self.failure.message, hint=self.failure.hint)

    @property
    def expires_at(self) -> datetime | None:
        return self.requested.expires_at if self.requested else None

    @property
    def warnings(self) -> tuple[Notice, ...]:
        told = (answer.warnings for answer in (self.clip, self.subtitles, self.burned) if answer)
        return (*chain.from_iterable(told), *(Notice(f.code, f.message) for f in self.optional_failures.values()))

    def answer_to(self, stage: StageName, run: int) -> Envelope | None:
        return self.answers.get((stage, run))

    def attempts_of(self, stage: StageName, run: int) -> int:
        return self.attempts.get((stage, run), 0)


def fold(history: Iterable[Envelope]) -> Job:
    """The job after these events, which come in the order of their sequence."""
    return reduce(apply, history, Job())


def apply(job: Job, envelope: Envelope) -> Job:
    """One event more. What arrives too late (an older run, a job that is over) is remembered as an answer and changes nothing else."""
    event = envelope.event
    job = _remembered(job, envelope)
    match event:
        case ClipsRequested():
            return _opened(job, envelope, event)
        case JobExpired():
            return replace(job, id=envelope.job_id, tenant=event.tenant or job.tenant, status="expired", updated_at=envelope.at)
        case LetterDiscarded():
            return job
        case JobReplayed() if envelope.run == job.run + 1 and _can_rerun(job, event):
            return _rerun(job, envelope, event)
        case _ if job.is_over or envelope.run != job.run:
            return job
        case _:
            return _settled(replace(_moved(job, envelope), updated_at=envelope.at))


def _remembered(job: Job, envelope: Envelope) -> Job:
    stage = answering_stage(envelope.event)
    if stage is None or (stage, envelope.run) in job.answers:
        return job
    return replace(job, answers={**job.answers, (stage, envelope.run): envelope})


def answering_stage(event: Event) -> StageName | None:
    """The stage that this event is the answer of, or None."""
    match event:
        case JobFailed(stage=stage):
            return stage
        case SourceReady():
            return StageName.RESOLVER
        case ClipUploaded():
            return StageName.CLIPPER
        case AsrDone() | AsrFailed():
            return StageName.ASR
        case ClipBurned() | BurnFailed():
            return StageName.BURNER
        case _:
            return None


def _opened(job: Job, envelope: Envelope, event: ClipsRequested) -> Job:
    if job.requested is not None:
        return job
    return replace(
        job,
        id=envelope.job_id,
        correlation_id=envelope.correlation_id,
        tenant=event.tenant,
        priority=envelope.priority,
        traceparent=envelope.traceparent,
        status="queued",
        requested=event,
        created_at=envelope.at,
        run_began=envelope.at,
        updated_at=envelope.at,
    )


def _can_rerun(job: Job, event: JobReplayed) -> bool:
    if is_edit(event.source):
        return job.is_editable and event.stage is StageName.ASR
    if event.lost:
        return job.status == "done" and event.stage is event.lost[0]
    return job.failed_stage is event.stage


def _rerun(job: Job, envelope: Envelope, event: JobReplayed) -> Job:
    if is_edit(event.source):
        job = replace(job, edit=event.source, subtitles=None, burned=None, optional_failures={})
    kept = {stage: failure for stage, failure in job.optional_failures.items() if stage is not event.stage}
    return replace(
        replace(job, **{_MADE[stage]: None for stage in event.lost}),
        run=envelope.run,
        run_began=envelope.at,
        status="processing",
        stage=event.stage,
        failure=None,
        optional_failures=kept,
        at_work={},
        progress=_within(job, event.stage, 0.0),
        replays={**job.replays, event.source: envelope.run},
        updated_at=envelope.at,
    )


def _moved(job: Job, envelope: Envelope) -> Job:
    match event := envelope.event:
        case StageStarted(stage=stage):
            started = replace(_counted(job, stage, 1), at_work={**job.at_work, stage: envelope})
            return replace(started, status="processing", stage=stage, progress=max(job.progress, _within(job, stage, 0.0)))
        case StageProgress(stage=stage, progress=progress):
            return replace(job, progress=max(job.progress, _within(job, stage, progress)))
        case StageRetried(stage=stage, attempt=attempt, charged=charged):
            ended = _ended(job, stage, attempt)
            return ended if charged else _counted(ended, stage, -1)
        case JobFailed():
            return replace(job, status="failed", failure=event, stage=event.stage)
        case JobCancelled():
            return _cancelled(job)
        case SourceReady() | ClipUploaded() | AsrDone() | ClipBurned() | AsrFailed() | BurnFailed():
            return _answered(job, event)
        case _:
            return job


def _ended(job: Job, stage: StageName, attempt: int) -> Job:
    """A worker that was taken over may say so late: that is no word on the one that took over."""
    start = job.at_work.get(stage)
    if start is None or not isinstance(start.event, StageStarted) or start.event.attempt != attempt:
        return job
    return replace(job, at_work={other: begun for other, begun in job.at_work.items() if other is not stage})


def _cancelled(job: Job) -> Job:
    """The job; or, where its clip was done before this run began, only what the run was to add to it."""
    if job.clip is None or job.answer_to(StageName.CLIPPER, job.run):
        return replace(job, status="cancelled")
    lost = BurnFailed if job.subtitles else AsrFailed
    failure = lost(code=CANCELLED, message="cancelled at the client's wish")
    return replace(job, optional_failures={**job.optional_failures, StageName.BURNER if job.subtitles else StageName.ASR: failure})


def _answered(job: Job, event: Answer) -> Job:
    stage = answering_stage(event) or StageName.RESOLVER
    job = replace(job, status="processing", stage=stage, progress=max(job.progress, _within(job, stage, 1.0)))
    match event:
        case SourceReady():
            return replace(job, source=event)
        case ClipUploaded():
            return replace(job, clip=event)
        case AsrDone():
            return replace(job, subtitles=event, language=event.language)
        case ClipBurned():
            return replace(job, burned=event)
        case AsrFailed() | BurnFailed():
            return replace(job, optional_failures={**job.optional_failures, stage: event})
        case _:
            return job


def _settled(job: Job) -> Job:
    """Done when every output it asked for exists, or an optional one has failed for good."""
    if job.is_over or job.clip is None or job.requested is None:
        return job
    asr_over = not job.requested.with_subtitles or job.subtitles or StageName.ASR in job.optional_failures
    unburnable = not job.requested.burn_subtitles or StageName.ASR in job.optional_failures
    burn_over = unburnable or job.burned or StageName.BURNER in job.optional_failures
    return replace(job, status="done", progress=100.0) if asr_over and burn_over else job


def _within(job: Job, stage: StageName, part: float) -> float:
    """The job's progress when `stage` has done `part` of its work."""
    at = progress_at(job.requested, stage, part) if job.requested else None
    return job.progress if at is None else at


def _counted(job: Job, stage: StageName, by: int) -> Job:
    key = (stage, job.run)
    return replace(job, attempts={**job.attempts, key: max(0, job.attempts.get(key, 0) + by)})
