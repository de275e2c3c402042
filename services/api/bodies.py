"""What clients send, field by field: limits and descriptions that a schema can say. The rest is checked in openings.py."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.events import Priority
from libs.common.domain.values import Accuracy, AudioFormat, Preset, SourceType, SubtitleStyle, SubtitleTask, VerticalFit

MediaType = Annotated[str, Meta(max_length=127, pattern=r"^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+$")]
Moment = Annotated[datetime, Meta(tz=True)]
Url = Annotated[str, Meta(max_length=2048)]
Prompt = Annotated[str, Meta(max_length=500)]
SourceKind = Annotated[SourceType, Meta(description="upload: uploadKey names the file; youtube: youtubeUrl the page.")]
UploadKey = Annotated[str | None, Meta(description="The uploadKey that POST /api/uploads gave.")]
SourceUrl = Annotated[Url | None, Meta(description="A URL that yt-dlp reads, of YouTube or elsewhere; where the operator allows it.")]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=256)]


Time = float | str | UnsetType
"""As clients write it."""


class SegmentField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One range of several."""

    start: Annotated[float | str, Meta(description="Where it begins, written as for a single clip.")]
    end: Annotated[float | str, Meta(description="Where it ends.")]


class ClipFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The range and what to make of it."""

    start: Annotated[
        float | str | UnsetType,
        Meta(description="Where the clip begins: HH:MM:SS.mmm, MM:SS, seconds, or 1m30s. A YouTube URL's own t= where it is left out."),
    ] = UNSET
    end: Annotated[
        float | str | UnsetType, Meta(description="Where it ends, in the same ways. Milliseconds are kept. Needed without segments.")
    ] = UNSET
    segments: Annotated[
        tuple[SegmentField, ...],
        Meta(max_length=100, description="Several ranges instead of start and end: a job each, or with `joined` one clip of all."),
    ] = ()
    joined: Annotated[bool, Meta(description="One clip in which the segments follow each other, instead of a clip each.")] = False
    presets: Annotated[
        tuple[Preset, ...],
        Meta(max_length=5, description="Renditions to make beside the clip: 720p, 1080p, vertical (9:16), audio, gif."),
    ] = ()
    vertical_fit: Annotated[VerticalFit, Meta(description="How the picture is made 9:16; with the preset vertical.")] = "crop"
    audio_format: Annotated[AudioFormat, Meta(description="What the preset audio gives.")] = "m4a"
    expires_at: Annotated[
        Moment | None,
        Meta(description="When the job and its files are deleted; within the service's limits."),
    ] = None
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
    callback_url: Annotated[
        Url | None, Meta(description="Where to POST a signed webhook when the job is over (docs/webhooks.md); needs a signing secret.")
    ] = None
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
    parts: Annotated[bool, Meta(description="Send it in parts, to go on where it breaks off; what is larger than 64 MiB always is.")] = (
        False
    )
