"""What clients read: a job and its events as they stand. Pure. What is not known is absent, never null."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.events import AnyEvent, Envelope, Priority, StageName, type_of
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job
from libs.common.domain.values import Accuracy, CutPath, Notice, Preset, Rendition, Segment, SourceType, SubtitleStyle, SubtitleTask

Status = Literal["queued", "processing", "done", "failed", "cancelled"]
StageWord = Literal["queued", "resolving", "clipping", "transcribing", "burning"]
STAGE_WORDS: dict[StageName, StageWord] = {
    StageName.RESOLVER: "resolving",
    StageName.CLIPPER: "clipping",
    StageName.ASR: "transcribing",
    StageName.BURNER: "burning",
}
Percent = Annotated[float, Meta(ge=0, le=100, description="0 to 100; 100 only when done.")]
LAST_EVENTS = 10
Value = TypeVar("Value")


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class AcceptedJob(View, frozen=True, kw_only=True):
    id: UUID
    status: Status
    progress: Percent
    expires_at: Annotated[datetime, Meta(description="When the job and its files are deleted.")]


class Accepted(View, frozen=True, kw_only=True):
    """The job was taken on; Location says where its status is. For several segments there is a job each, and Location lists them."""

    correlation_id: str
    job: AcceptedJob
    jobs: Annotated[tuple[AcceptedJob, ...] | UnsetType, Meta(description="One a segment, in their order; `job` is the first.")] = UNSET
    group_id: Annotated[UUID | UnsetType, Meta(description="What the jobs of one request have in common.")] = UNSET


class JobError(View, frozen=True, kw_only=True):
    code: str
    message: str
    hint: Annotated[str, Meta(description="What to do about it.")]


class JobView(View, frozen=True, kw_only=True):
    id: UUID
    status: Status
    stage: StageWord
    progress: Percent
    source_type: SourceType
    start: Annotated[float, Meta(description="Seconds, as asked.")]
    end: Annotated[float, Meta(description="Seconds, as asked.")]
    actual_start: Annotated[float | UnsetType, Meta(description="Seconds, as cut.")] = UNSET
    actual_end: Annotated[float | UnsetType, Meta(description="Seconds, as cut.")] = UNSET
    cut_path: Annotated[CutPath | UnsetType, Meta(description="How the clip was cut.")] = UNSET
    segments: Annotated[tuple[Segment, ...] | UnsetType, Meta(description="Of a joined clip, in seconds, in the order shown.")] = UNSET
    group_id: UUID | UnsetType = UNSET
    queue_position: Annotated[Annotated[int, Meta(ge=1)] | UnsetType, Meta(description="Of a queued job: 1 is next.")] = UNSET
    estimated_seconds: Annotated[
        float | UnsetType, Meta(description="Until it is done, as things go just now; absent where nothing tells.")
    ] = UNSET
    accuracy: Accuracy
    presets: tuple[Preset, ...] | UnsetType = UNSET
    priority: Priority
    attempts: Annotated[int, Meta(description="Attempts of the current stage.")]
    with_subtitles: bool
    burn_subtitles: bool
    subtitle_lang: str
    subtitle_task: SubtitleTask
    subtitle_style: SubtitleStyle
    subtitle_prompt: str | UnsetType = UNSET
    subtitles_edited: Annotated[bool, Meta(description="Whether the subtitles are those that a client put back.")]
    result_video_key: str | UnsetType = UNSET
    result_video_burned_key: str | UnsetType = UNSET
    result_srt_key: str | UnsetType = UNSET
    result_vtt_key: str | UnsetType = UNSET
    result_text_key: str | UnsetType = UNSET
    result_json_key: str | UnsetType = UNSET
    result_thumbnail_key: str | UnsetType = UNSET
    renditions: tuple[Rendition, ...] | UnsetType = UNSET
    warnings: Annotated[tuple[Notice, ...] | UnsetType, Meta(description="What went wrong without costing the clip.")] = UNSET
    error: Annotated[JobError | UnsetType, Meta(description="Why the job failed.")] = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    correlation_id: Annotated[str, Meta(description="The creating request's id, which the job's logs carry in every service.")]
    created_at: datetime
    updated_at: datetime
    expires_at: Annotated[datetime, Meta(description="When the job and its files are deleted.")]


class EventView(View, frozen=True, kw_only=True):
    ts: datetime
    type: str
    data: dict[str, Any]


class JobAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    job: JobView
    events: Annotated[tuple[EventView, ...], Meta(description="The last 10, oldest first.")]


class Outlook(msgspec.Struct, frozen=True):
    """A job's place in the queue, from 1, and the seconds until it is done; None where that can't be told."""

    position: int | None = None
    seconds: float | None = None


NO_OUTLOOK = Outlook()


def known(value: Value | None) -> Value | UnsetType:
    return UNSET if value is None else value


def accepted_job(job_id: UUID, expires_at: datetime) -> AcceptedJob:
    return AcceptedJob(id=job_id, status="queued", progress=0.0, expires_at=expires_at)


def job_view(job: Job, outlook: Outlook = NO_OUTLOOK) -> JobView:
    """Of a job that was requested and has not expired."""
    asked, clip, made = job.requested, job.clip, job.subtitles
    assert job.id and asked and job.created_at and job.updated_at  # noqa: PT018, S101  every requested job has them
    return JobView(
        id=job.id,
        status=_status(job),
        stage=_stage(job),
        progress=round(job.progress, 1),
        source_type=asked.source_type,
        start=asked.start,
        end=asked.end,
        actual_start=clip.actual_start if clip else UNSET,
        actual_end=clip.actual_end if clip else UNSET,
        cut_path=clip.cut_path if clip else UNSET,
        segments=asked.segments or UNSET,
        group_id=asked.group_id or UNSET,
        queue_position=known(outlook.position),
        estimated_seconds=known(outlook.seconds),
        accuracy=asked.accuracy,
        presets=asked.presets or UNSET,
        priority=job.priority,
        attempts=job.attempts_of(job.stage, job.run) if job.stage else 0,
        with_subtitles=asked.with_subtitles,
        burn_subtitles=asked.burn_subtitles,
        subtitle_lang=asked.subtitle_lang,
        subtitle_task=asked.subtitle_task,
        subtitle_style=asked.subtitle_style,
        subtitle_prompt=asked.subtitle_prompt or UNSET,
        subtitles_edited=job.is_edited,
        result_video_key=clip.video_key if clip else UNSET,
        result_video_burned_key=job.burned.video_key if job.burned else UNSET,
        result_srt_key=made.srt_key if made else UNSET,
        result_vtt_key=(made and made.vtt_key) or UNSET,
        result_text_key=(made and made.text_key) or UNSET,
        result_json_key=(made and made.json_key) or UNSET,
        result_thumbnail_key=(clip and clip.thumbnail_key) or UNSET,
        renditions=(clip and clip.renditions) or UNSET,
        warnings=job.warnings or UNSET,
        error=job_error(job.error) if job.error else UNSET,
        metadata=asked.metadata or UNSET,
        correlation_id=job.correlation_id,
        created_at=job.created_at,
        updated_at=job.updated_at,
        expires_at=asked.expires_at,
    )


def job_error(failure: Failure) -> JobError:
    return JobError(code=failure.code, message=failure.message, hint=failure.hint)


def _status(job: Job) -> Status:
    """A job that is unknown or expired has no view."""
    return cast("Status", job.status)


def _stage(job: Job) -> StageWord:
    return STAGE_WORDS[job.stage] if job.stage else "queued"


def last_events(history: list[Envelope]) -> tuple[EventView, ...]:
    return tuple(EventView(ts=envelope.at, type=type_of(envelope.event), data=_data(envelope.event)) for envelope in history[-LAST_EVENTS:])


PRIVATE = frozenset({"type", "worker", "sequence", "callbackUrl", "sourceUrl", "tenant", "client", "fetch", "sections"})
"""The type stands beside the data; our hosts are nobody's business; a URL may carry a secret."""


def _data(event: AnyEvent) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in fields.items() if name not in PRIVATE and value is not None}
