"""What clients read: a job and its events as they stand. Pure. What is not known is absent, never null."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.events import AnyEvent, ClipsRequested, Envelope, Priority, StageName, type_of
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job
from libs.common.domain.probing import Format, ProbeAnswer
from libs.common.domain.values import Accuracy, AudioTrack, CutPath, Notice, SourceType, SubtitleStyle, SubtitleTask, VideoTrack

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
    """The job was taken on; Location says where its status is."""

    correlation_id: str
    job: AcceptedJob


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
    accuracy: Accuracy
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


class SignedFile(View, frozen=True, kw_only=True):
    key: str
    url: Annotated[str, Meta(description="Signed: whoever has it can read the file until it expires.")]


class Result(View, frozen=True, kw_only=True):
    id: UUID
    video: SignedFile
    burned_video: SignedFile | UnsetType = UNSET
    srt: SignedFile | UnsetType = UNSET
    vtt: SignedFile | UnsetType = UNSET
    text: SignedFile | UnsetType = UNSET
    json: Annotated[SignedFile | UnsetType, Meta(description="Cues and words with their times; can be edited and put back.")] = UNSET


class ResultAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    result: Result


class UploadTicket(View, frozen=True, kw_only=True):
    """Send the file's bytes to `url` with exactly this method and these headers; then create the job with `uploadKey`."""

    upload_key: str
    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime


class ProbeView(View, frozen=True, kw_only=True):
    accepted: Annotated[bool, Meta(description="Whether a job on this source, with this range if one was named, would be taken on.")]
    refusal: Annotated[JobError | UnsetType, Meta(description="What the job would fail with.")] = UNSET
    title: str | UnsetType = UNSET
    duration: Annotated[float | UnsetType, Meta(description="Seconds.")] = UNSET
    size: Annotated[int | UnsetType, Meta(description="Bytes of the whole source.")] = UNSET
    container: Annotated[
        str | UnsetType, Meta(description="The format, by ffmpeg's name: mov (MP4 too), matroska (WebM too), mpegts …")
    ] = UNSET
    video: VideoTrack | UnsetType = UNSET
    audio: AudioTrack | UnsetType = UNSET
    formats: Annotated[tuple[Format, ...] | UnsetType, Meta(description="What the site offers; the operator's settings choose.")] = UNSET
    keyframes: Annotated[
        tuple[float, ...] | UnsetType,
        Meta(description="Seconds of the keyframes near start and end: a fast cut begins at the last before start."),
    ] = UNSET
    section: Annotated[bool, Meta(description="Only the part that is asked for would be fetched, not the whole source.")]


class ProbeAnswerView(View, frozen=True, kw_only=True):
    correlation_id: str
    probe: ProbeView


def probe_view(found: ProbeAnswer) -> ProbeView:
    refusal = found.refusal.failure if found.refusal else None
    return ProbeView(
        accepted=refusal is None,
        refusal=job_error(refusal) if refusal else UNSET,
        title=found.title or UNSET,
        duration=_known(found.duration),
        size=_known(found.size),
        container=found.container or UNSET,
        video=found.video or UNSET,
        audio=found.audio or UNSET,
        formats=found.formats or UNSET,
        keyframes=found.keyframes or UNSET,
        section=found.section,
    )


def _known(value: Value | None) -> Value | UnsetType:
    return UNSET if value is None else value


def accepted_job(envelope: Envelope, requested: ClipsRequested) -> AcceptedJob:
    return AcceptedJob(id=envelope.job_id, status="queued", progress=0.0, expires_at=requested.expires_at)


def job_view(job: Job) -> JobView:
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
        accuracy=asked.accuracy,
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


PRIVATE = frozenset({"type", "worker", "sequence", "callbackUrl", "sourceUrl"})
"""The type stands beside the data; our hosts are nobody's business; a URL may carry a secret."""


def _data(event: AnyEvent) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in fields.items() if name not in PRIVATE and value is not None}
