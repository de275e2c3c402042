"""Every fact a job can accumulate, and the Envelope that carries one. Past tense, frozen, no behaviour.

An event that travels between services has its subject's name; the others are written to the event table only.
"""

import re
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from libs.common.domain.values import (
    Accuracy,
    AudioFormat,
    AudioTrack,
    CutPath,
    Notice,
    Preset,
    Rendition,
    Section,
    Segment,
    SourceType,
    SubtitleStyle,
    SubtitleTask,
    VerticalFit,
    VideoTrack,
)


class Priority(StrEnum):
    """The lane a job travels in; `normal` travels on the plain subject."""

    FAST = "fast"
    NORMAL = "normal"
    BULK = "bulk"


class StageName(StrEnum):
    """The four steps of a job; a stage's durable consumers carry its name."""

    RESOLVER = "resolver"
    CLIPPER = "clipper"
    ASR = "asr"
    BURNER = "burner"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """A fact. Times are seconds in the source's own time; keys are object keys."""


class ClipsRequested(Event, frozen=True, kw_only=True, tag="clips.requested"):
    source_type: SourceType
    upload_key: str | None = None
    source_url: str | None = None
    start: float
    end: float
    segments: tuple[Segment, ...] = ()
    """Of a joined clip, in the order that they are shown in; `start` and `end` are then the first moment and the last of them."""
    fetch: Segment | None = None
    """The part of a URL's source to fetch, where that is more than start to end: it is shared with the other jobs of the group."""
    group_id: UUID | None = None
    """Jobs that one request asked for have the same."""
    tenant: str = ""
    """Whose the job is; empty while API keys are off."""
    client: str = ""
    """Who asked, as the limits count: a key, or the digest of an address."""
    accuracy: Accuracy = "exact"
    presets: tuple[Preset, ...] = ()
    vertical_fit: VerticalFit = "crop"
    audio_format: AudioFormat = "m4a"
    with_subtitles: bool = False
    burn_subtitles: bool = False
    subtitle_lang: str = "auto"
    subtitle_task: SubtitleTask = "transcribe"
    subtitle_style: SubtitleStyle = "default"
    subtitle_prompt: str | None = None
    """Names and terms that the provider should expect."""
    callback_url: str | None = None
    metadata: dict[str, str] = {}
    expires_at: datetime


class SourceReady(Event, frozen=True, kw_only=True, tag="source.ready"):
    source_key: str
    size: int
    """Bytes."""
    container: str
    """The demuxer that reads it, told from its first bytes: mov, matroska, mpegts …"""
    duration: float
    """Seconds of the whole source, also where only a section of it was fetched."""
    clock_offset: float | None = None
    """Of a fetched section: what is added to a time on the file's own clock to get the source's; None for a whole file."""
    sections: tuple[Section, ...] = ()
    """Of a joined clip whose segments lie so far apart that they were fetched by themselves: all of them, this file's own included."""
    video: VideoTrack | None = None
    audio: AudioTrack | None = None


class ClipUploaded(Event, frozen=True, kw_only=True, tag="clip.uploaded"):
    video_key: str
    size: int
    duration: float
    actual_start: float
    actual_end: float
    cut_path: CutPath
    cut_reason: str = ""
    """Why that path: one of the few words of services/clipper/splice_plan.py."""
    has_video: bool
    has_audio: bool
    thumbnail_key: str | None = None
    renditions: tuple[Rendition, ...] = ()
    warnings: tuple[Notice, ...] = ()


class AsrDone(Event, frozen=True, kw_only=True, tag="asr.done"):
    srt_key: str
    vtt_key: str | None = None
    text_key: str | None = None
    json_key: str | None = None
    language: str
    provider: str
    model: str
    cues: int
    audio_seconds: float
    fell_back: bool = False
    """The provider was down or out of quota, and the other one took over."""
    reused: bool = False
    """The transcript was there already; nobody was asked for it."""
    warnings: tuple[Notice, ...] = ()


class ClipBurned(Event, frozen=True, kw_only=True, tag="clip.burned"):
    video_key: str
    size: int
    warnings: tuple[Notice, ...] = ()


class StageStarted(Event, frozen=True, kw_only=True, tag="stage.started"):
    stage: StageName
    attempt: int
    worker: str
    sequence: int = 0
    """Of the message that it works on: if its worker dies, that message comes again."""


class StageProgress(Event, frozen=True, kw_only=True, tag="stage.progress"):
    stage: StageName
    progress: float
    """0.0 to 1.0 of this stage."""


class StageRetried(Event, frozen=True, kw_only=True, tag="stage.retried"):
    """An attempt ended without an answer. Only a charged one counts against the attempts a stage has."""

    stage: StageName
    attempt: int
    code: str
    message: str
    delay: float
    """Seconds until the next attempt, at the earliest."""
    charged: bool = True


class AsrFailed(Event, frozen=True, kw_only=True, tag="asr.failed"):
    code: str
    message: str
    hint: str | None = None


class BurnFailed(Event, frozen=True, kw_only=True, tag="burn.failed"):
    code: str
    message: str
    hint: str | None = None


class JobFailed(Event, frozen=True, kw_only=True, tag="job.failed"):
    stage: StageName
    code: str
    message: str
    hint: str | None = None
    """What to do about it, where that is more than what its code always says."""


class JobReplayed(Event, frozen=True, kw_only=True, tag="job.replayed"):
    """A dead letter or an edited transcript was put back, or lost files are made again: the job runs on from `stage`, in the new run."""

    stage: StageName
    by: str
    source: str
    """The message that was put back, as STREAM:sequence, edit:hash, retry:id or repair:run; one message gives one replay."""
    client: str = ""
    """Of a client's: who asked, as the limits count."""
    lost: tuple[StageName, ...] = ()
    """Of a repair: the stages whose files S3 has no more, in order, `stage` the first. What the others made stands."""


class LetterDiscarded(Event, frozen=True, kw_only=True, tag="letter.discarded"):
    """The operator deleted a dead letter of this job instead of replaying it. It changes nothing about the job."""

    stage: StageName
    by: str
    source: str
    """The letter, as DLQ:sequence."""


class JobCancelled(Event, frozen=True, kw_only=True, tag="job.cancelled"):
    by: str


CANCELLED = "CANCELLED"
"""The code of the warning that a job has for what a cancelled run was to add to its finished clip."""


class JobExpired(Event, frozen=True, kw_only=True, tag="job.expired"):
    tenant: str = ""
    """Whose the job was: all else of it is forgotten."""


Work = ClipsRequested | SourceReady | ClipUploaded | AsrDone
"""What travels: each is the cause that one stage answers."""

Failed = JobFailed | AsrFailed | BurnFailed
Answer = SourceReady | ClipUploaded | AsrDone | ClipBurned | Failed
"""What a stage says in the end: exactly one for each (job, stage, run)."""

AnyEvent = (
    Work | ClipBurned | Failed | StageStarted | StageProgress | StageRetried | JobReplayed | LetterDiscarded | JobCancelled | JobExpired
)

CONSUMES: dict[StageName, type[Event]] = {
    StageName.RESOLVER: ClipsRequested,
    StageName.CLIPPER: SourceReady,
    StageName.ASR: ClipUploaded,
    StageName.BURNER: AsrDone,
}


def type_of(event: type[Event] | Event) -> str:
    """The event's name on the wire, which is the subject of one that travels."""
    return str(event.__struct_config__.tag)


SUBJECTS: dict[StageName, str] = {stage: type_of(cause) for stage, cause in CONSUMES.items()}


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event with its identity.

    `id` is the fence: an answer's is derived from (job, stage, run), so a second answer is the same row.
    `run` counts replays from 1; what follows from a message carries that message's run.
    """

    id: UUID
    job_id: UUID
    run: int = 1
    at: datetime
    correlation_id: str
    priority: Priority = Priority.NORMAL
    traceparent: str | None = None
    version: int = 1
    event: AnyEvent

    def followed_by(self, event: AnyEvent, *, event_id: UUID, at: datetime) -> "Envelope":
        """The same job's next envelope, in the same run."""
        return msgspec.structs.replace(self, event=event, id=event_id, at=at)


_decoder = msgspec.json.Decoder(Envelope)
_nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # behind an escaped backslash it is a text like any other
_known = frozenset(type_of(event) for event in AnyEvent.__args__)


def encode(envelope: Envelope) -> bytes:
    return msgspec.json.encode(envelope)


def decode(body: bytes | str) -> Envelope:
    """Raises msgspec.DecodeError (a ValidationError included) that names what is wrong; a NUL is, since no database keeps one."""
    if isinstance(body, bytes) and b"\\u0000" in body and _nul.search(body):
        raise msgspec.DecodeError("it holds a NUL")
    try:
        return _decoder.decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError("not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deep") from error


def known_types() -> frozenset[str]:
    return _known


def is_known(event_type: str) -> bool:
    """False for an event that a newer version of the system wrote: readers pass over it."""
    return event_type in _known
