"""The small values that events are made of: what a client may choose, parts of a source, files, notices."""

from typing import Literal

import msgspec

SourceType = Literal["upload", "youtube"]
Accuracy = Literal["exact", "fast"]
CutPath = Literal["copy", "smart", "reencode", "fallback"]
SubtitleStyle = Literal["default", "bold", "boxed", "karaoke"]
SubtitleTask = Literal["transcribe", "translate"]
"""As spoken, or in English."""
Preset = Literal["720p", "1080p", "vertical", "audio", "gif"]
"""What is made of the clip beside it, which stays untouched."""
VerticalFit = Literal["crop", "pad", "blur"]
AudioFormat = Literal["m4a", "mp3"]


class Notice(msgspec.Struct, frozen=True):
    """Something the client should know that did not cost the clip: `{code, message}` in the job's warnings."""

    code: str
    message: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A range of the source, in seconds of its own time."""

    start: float
    end: float


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A fetched part of a source: what SourceReady says of itself, for the segments that lie between `start` and `end`."""

    start: float
    end: float
    source_key: str
    size: int
    clock_offset: float | None = None
    container: str | None = None
    """Where it is another than SourceReady's."""


class Rendition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The clip in another form. `size` in bytes."""

    preset: Preset
    key: str
    media_type: str
    size: int


class VideoTrack(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    codec: str
    width: int
    height: int
    frame_rate: float
    """Frames a second, the container's average."""


class AudioTrack(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    codec: str
    sample_rate: int
    channels: int
