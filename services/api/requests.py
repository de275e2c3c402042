"""What clients send, and how it becomes a ClipsRequested. Pure: every refusal names the field it is about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.events import ClipsRequested, Priority
from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import ISO_639_1, Abilities
from libs.common.domain.probing import ProbeRequest, Source
from libs.common.domain.values import Accuracy, SourceType, SubtitleStyle, SubtitleTask
from services.api.plain_text import plain
from services.api.timecode import milliseconds
from services.api.youtube import start_in

MIB = 1024 * 1024
MediaType = Annotated[str, Meta(max_length=127, pattern=r"^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+$")]
Url = Annotated[str, Meta(max_length=2048)]
Prompt = Annotated[str, Meta(max_length=500)]
SourceKind = Annotated[SourceType, Meta(description="upload: uploadKey names the file; youtube: youtubeUrl the page.")]
UploadKey = Annotated[str | None, Meta(description="The uploadKey that POST /api/uploads gave.")]
SourceUrl = Annotated[Url | None, Meta(description="A URL that yt-dlp reads, of YouTube or elsewhere; where the operator allows it.")]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=256)]


Time = float | str | UnsetType
"""As clients write it."""


class Refused(Failure):
    """A request that names something wrong. `field` is the field's name on the wire, None for the body as a whole."""

    def __init__(self, field: str | None, message: str, code: Code = Code.VALIDATION_FAILED, *, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this service takes; the settings of the same names. Seconds, MiB and hours."""

    max_clip_seconds: float
    min_duration_sec: float
    coerce_min_duration: bool
    max_input_mb: int
    retention_hours: float
    recogniser: Abilities
    """Of the model that transcribes."""

    @property
    def largest(self) -> int:
        """Bytes."""
        return self.max_input_mb * MIB


class ClipFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The range and what to make of it."""

    start: Annotated[
        float | str | UnsetType,
        Meta(description="Where the clip begins: HH:MM:SS.mmm, MM:SS, seconds, or 1m30s. A YouTube URL's own t= where it is left out."),
    ] = UNSET
    end: Annotated[float | str, Meta(description="Where it ends, written in the same ways. Milliseconds are kept.")]
    with_subtitles: Annotated[bool, Meta(description="Transcribe the clip and give subtitles.")] = False
    burn_subtitles: Annotated[bool, Meta(description="Also give a copy with the subtitles in the picture; needs withSubtitles.")] = False
    subtitle_lang: Annotated[str, Meta(description="The spoken language: an ISO 639-1 code, or auto.")] = "auto"
    subtitle_task: Annotated[
        SubtitleTask, Meta(description="transcribe: in the spoken language; translate: into English. Needs withSubtitles.")
    ] = "transcribe"
    subtitle_prompt: Annotated[
        Prompt, Meta(description="Names and terms that are said in the clip, to be spelt so; a hint only. Needs withSubtitles.")
    ] = ""
    subtitle_style: Annotated[
        SubtitleStyle, Meta(description="How burned subtitles look; karaoke marks each word as it is said. Needs burnSubtitles.")
    ] = "default"
    priority: Annotated[Priority, Meta(description="fast is served before normal, normal before bulk.")] = Priority.NORMAL
    accuracy: Annotated[Accuracy, Meta(description="exact: cut to the frame; fast: begin at the keyframe at or before start.")] = "exact"
    callback_url: Annotated[str | None, Meta(description="Not supported yet: a request that names one is refused.")] = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Meta(max_length=16, description="Your labels, given back with the job.")] = {}


class NewJob(ClipFields, frozen=True, kw_only=True):
    """A range of a source that is there already."""

    source_type: SourceKind
    upload_key: UploadKey = None
    youtube_url: SourceUrl = None


class NewProbe(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A source, and the range that a job would cut out of it, if it is known already."""

    source_type: SourceKind
    upload_key: UploadKey = None
    youtube_url: SourceUrl = None
    start: Annotated[float | str | UnsetType, Meta(description="As for a job.")] = UNSET
    end: Annotated[float | str | UnsetType, Meta(description="As for a job; only with a start.")] = UNSET


class NewUpload(ClipFields, frozen=True, kw_only=True):
    """The fields that go with a file in one multipart request; `metadata` is written as JSON there."""

    source_type: Literal["upload"] = "upload"


class UploadWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A file that the client wants to put into the storage itself."""

    size: Annotated[int, Meta(ge=1, description="The file's size in bytes; exactly so many must be sent.")]
    filename: Annotated[str, Meta(max_length=1024, description="The file's name; only its safe characters are kept.")] = ""
    content_type: Annotated[MediaType, Meta(description="The file's media type; exactly this must be sent.")] = "application/octet-stream"


Body = TypeVar("Body", bound=msgspec.Struct)


def decoded(kind: type[Body], body: bytes) -> Body:
    """The JSON body as a Struct. Raises Refused: BAD_REQUEST for broken JSON, VALIDATION_FAILED naming the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(None, "the body is not valid JSON", Code.BAD_REQUEST) from error


def from_query(kind: type[Body], parameters: Mapping[str, str]) -> Body:
    """The query of a URL as a Struct. Raises Refused."""
    try:
        return msgspec.convert(dict(parameters), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def from_form(fields: Mapping[str, str]) -> NewUpload:
    """The text fields of a multipart request as a Struct. Raises Refused."""
    values: dict[str, Any] = dict(fields)
    if "metadata" in fields:
        values["metadata"] = _json_field("metadata", fields["metadata"])
    try:
        return msgspec.convert(values, NewUpload, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _json_field(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refused(name, f"{name} must be a JSON object") from error


_PLACE = re.compile(r" - at .*?`\$\.((\w+)[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `(.*?)`$")


def _refusal(complaint: str) -> Refused:
    """msgspec's complaint, which ends with the place it is about."""
    if place := _PLACE.search(complaint):
        return Refused(place[2], f"{place[1].replace('[...]', '')}: {complaint[: place.start()]}")
    named = _NAMED.search(complaint)
    return Refused(named[1], f"{named[1]}: {complaint}") if named else Refused(None, complaint)


def requested(fields: ClipFields, source: Source, limits: Limits, now: datetime) -> ClipsRequested:
    """The event that opens a job on a source. Raises Refused for the first field that is wrong."""
    start, end = _range(_start(fields.start, source), fields.end, limits)
    _check_subtitles(fields, limits.recogniser)
    _check_extras(fields)
    return ClipsRequested(
        source_type=source.source_type,
        upload_key=source.upload_key,
        source_url=source.source_url,
        start=start / 1000,
        end=end / 1000,
        accuracy=fields.accuracy,
        with_subtitles=fields.with_subtitles,
        burn_subtitles=fields.burn_subtitles,
        subtitle_lang=fields.subtitle_lang.lower(),
        subtitle_task=fields.subtitle_task,
        subtitle_style=fields.subtitle_style,
        subtitle_prompt=plain(fields.subtitle_prompt) or None,
        metadata=fields.metadata,
        expires_at=now + timedelta(hours=limits.retention_hours),
    )


def probe_request(wish: NewProbe, source: Source, limits: Limits) -> ProbeRequest:
    """What a resolver is asked. Raises Refused where a job with this range would be."""
    first = _start(wish.start, source)
    if wish.end is not UNSET:
        start, end = _range(first, wish.end, limits)
        return ProbeRequest(source=source, start=start / 1000, end=end / 1000)
    return ProbeRequest(source=source, start=None if first is UNSET else _time("start", first) / 1000)


def _start(asked: Time, source: Source) -> Time:
    """As asked, or else as a YouTube URL names it."""
    named = start_in(source.source_url) if asked is UNSET and source.source_url else None
    return asked if named is None else named


def _range(first: Time, last: Time, limits: Limits) -> tuple[int, int]:
    """In milliseconds, so that no rounding decides whether a clip is too long."""
    start, end = _time("start", first), _time("end", last)
    least = round(limits.min_duration_sec * 1000)
    if end < start or (end == start and not limits.coerce_min_duration):
        raise Refused("end", "end must be after start")
    if end - start < least:
        if not limits.coerce_min_duration:
            raise Refused("end", f"a clip must be at least {limits.min_duration_sec:g} s long")
        end = start + least
    if end - start > limits.max_clip_seconds * 1000:
        too_long = f"the clip would be {(end - start) / 1000:g} s long; at most {limits.max_clip_seconds:g} s are allowed"
        raise Refused("end", too_long, Code.CLIP_TOO_LONG)
    return start, end


def _time(name: str, value: Time) -> int:
    if value is UNSET:
        raise Refused(name, f"{name} is required")
    try:
        return milliseconds(value)
    except ValueError as error:
        raise Refused(name, f"{name}: {error}") from error


def _check_subtitles(fields: ClipFields, recogniser: Abilities) -> None:
    if fields.subtitle_lang.lower() not in ISO_639_1 | {"auto"}:
        raise Refused("subtitleLang", "subtitleLang must be auto or a two-letter ISO 639-1 code")
    if fields.subtitle_style != "default" and not fields.burn_subtitles:
        raise Refused("subtitleStyle", "subtitleStyle needs burnSubtitles")
    asked = {
        "burnSubtitles": fields.burn_subtitles,
        "subtitleTask": fields.subtitle_task != "transcribe",
        "subtitlePrompt": fields.subtitle_prompt != "",
    }
    if fields.with_subtitles:
        _check_abilities(fields, recogniser)
    elif name := next((name for name, wanted in asked.items() if wanted), None):
        raise Refused(name, f"{name} needs withSubtitles")


def _check_abilities(fields: ClipFields, recogniser: Abilities) -> None:
    """A model that is asked for what it can't do makes something up instead."""
    if fields.subtitle_lang.lower() not in recogniser.languages | {"auto"}:
        known = ", ".join(sorted(recogniser.languages))
        raise Refused("subtitleLang", f"this service can't transcribe {fields.subtitle_lang.lower()}; it can do auto, {known}")
    if fields.subtitle_task == "translate" and not recogniser.translates:
        raise Refused("subtitleTask", "this service can't translate; its model can only transcribe")


def _check_extras(fields: ClipFields) -> None:
    if fields.callback_url is not None:
        raise Refused("callbackUrl", "callbackUrl is not supported yet; ask for the job's status instead")
    if any("\0" in text for item in fields.metadata.items() for text in item):  # Postgres can't store it
        raise Refused("metadata", "metadata must not hold NUL characters")
