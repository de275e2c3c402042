"""What the server answers, as immutable values. Pure. What a newer server adds is passed over; what is not there is None.

Times within videos are seconds, sizes are bytes, moments are aware datetimes.
"""

from datetime import datetime
from typing import Any

import msgspec

OVER = frozenset({"done", "failed", "cancelled", "expired"})


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", repr_omit_defaults=True):
    """camelCase on the wire."""


class JobError(Model, frozen=True, kw_only=True):
    """Why a job failed, or would fail."""

    code: str
    message: str
    hint: str = ""


class Notice(Model, frozen=True, kw_only=True):
    """What went wrong without costing the clip."""

    code: str
    message: str


class Range(Model, frozen=True, kw_only=True):
    start: float
    end: float


class Rendition(Model, frozen=True, kw_only=True):
    preset: str
    key: str
    media_type: str
    size: int


class Job(Model, frozen=True, kw_only=True):
    """A job as it stands. One that was created this moment has only its id, status, progress, expiry, group and correlation id."""

    id: str
    status: str
    """queued, processing, done, failed or cancelled."""
    progress: float
    """0 to 100; 100 only when done."""
    stage: str = "queued"
    """queued, resolving, clipping, transcribing or burning."""
    source_type: str | None = None
    start: float | None = None
    end: float | None = None
    actual_start: float | None = None
    actual_end: float | None = None
    cut_path: str | None = None
    segments: tuple[Range, ...] | None = None
    group_id: str | None = None
    queue_position: int | None = None
    """Of a queued job: 1 is next."""
    estimated_seconds: float | None = None
    accuracy: str | None = None
    presets: tuple[str, ...] | None = None
    priority: str | None = None
    attempts: int = 0
    with_subtitles: bool = False
    burn_subtitles: bool = False
    subtitle_lang: str | None = None
    subtitle_task: str | None = None
    subtitle_style: str | None = None
    subtitle_prompt: str | None = None
    subtitles_edited: bool = False
    result_video_key: str | None = None
    result_video_burned_key: str | None = None
    result_srt_key: str | None = None
    result_vtt_key: str | None = None
    result_text_key: str | None = None
    result_json_key: str | None = None
    result_thumbnail_key: str | None = None
    renditions: tuple[Rendition, ...] | None = None
    warnings: tuple[Notice, ...] = ()
    error: JobError | None = None
    metadata: dict[str, str] | None = None
    correlation_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_done(self) -> bool:
        return self.status == "done"


class JobMoment(Model, frozen=True, kw_only=True):
    """A job in three words: how it stood after an event."""

    status: str
    stage: str = "queued"
    progress: float = 0.0

    @property
    def is_over(self) -> bool:
        return self.status in OVER


class Event(Model, frozen=True, kw_only=True):
    """Something that happened to a job. `id` resumes behind it; None where events were asked for instead of streamed."""

    id: int | None = None
    ts: datetime
    type: str
    data: dict[str, Any]
    job: JobMoment


class Upload(Model, frozen=True, kw_only=True):
    """A file that the server has; `key` names it in jobs."""

    key: str
    id: str
    size: int


class File(Model, frozen=True, kw_only=True):
    """`url` is signed: whoever has it can read the file until it expires, some minutes from now. So it is not shown."""

    key: str
    url: str

    def __repr__(self) -> str:
        return f"File(key={self.key!r})"


class Result(Model, frozen=True, kw_only=True):
    """The files of a job that is done."""

    id: str
    video: File
    burned_video: File | None = None
    srt: File | None = None
    vtt: File | None = None
    text: File | None = None
    json: File | None = None
    thumbnail: File | None = None
    renditions: dict[str, File] | None = None
    """By preset."""

    @property
    def files(self) -> dict[str, File]:
        """All of them by name: the fields above, and the presets."""
        named = {name: getattr(self, name) for name in FILES}
        return {name: file for name, file in named.items() if file} | {
            name: file for name, file in (self.renditions or {}).items() if name not in named
        }


FILES = ("video", "burned_video", "srt", "vtt", "text", "json", "thumbnail")


class VideoTrack(Model, frozen=True, kw_only=True):
    codec: str
    width: int
    height: int
    frame_rate: float


class AudioTrack(Model, frozen=True, kw_only=True):
    codec: str
    sample_rate: int
    channels: int


class Format(Model, frozen=True, kw_only=True):
    """One of the forms in which a site offers a source."""

    id: str
    container: str | None = None
    width: int | None = None
    height: int | None = None
    codecs: str | None = None
    size: int | None = None


class Probe(Model, frozen=True, kw_only=True):
    """What a source holds, and whether a job on it would be taken on; `refusal` says why not."""

    accepted: bool
    refusal: JobError | None = None
    title: str | None = None
    duration: float | None = None
    size: int | None = None
    container: str | None = None
    video: VideoTrack | None = None
    audio: AudioTrack | None = None
    formats: tuple[Format, ...] = ()
    keyframes: tuple[float, ...] = ()
    section: bool = False
    """Only the part that is asked for would be fetched."""


class WebhookEvent(Model, frozen=True, kw_only=True):
    """A job's end, as it was told. `id` is the same at every attempt: remember it, and act on each end once."""

    id: str
    type: str
    """job.done, job.failed or job.cancelled."""
    timestamp: datetime
    job: Job
