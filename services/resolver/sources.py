"""What a source may be: told from its first bytes, and held against the caps. Pure; a file's name and declared type count for nothing."""

import re
from dataclasses import dataclass
from uuid import UUID

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Segment, VideoTrack
from services.resolver.mpeg_audio import begins_with_frames

HEAD_BYTES = 4096
"""The first bytes of a file, enough to tell every container."""

MAX_PIXELS = 7680 * 4320
END_GRACE_SECONDS = 0.5
"""An `end` this far past the source's end is taken as the end: clients round, and a container tells the duration of one of its tracks."""


@dataclass(frozen=True, slots=True)
class Container:
    """The demuxer that reads it, by ffmpeg's name, and the extension of what is fetched of it."""

    demuxer: str
    extension: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The largest source in bytes, the longest in seconds, and the shortest clip in seconds."""

    max_bytes: int
    max_seconds: float
    min_clip_seconds: float


def container_of(head: bytes) -> Container | None:
    """None for what is no ordinary video or audio file. Only formats that name no other file or address (findings B4).

    `head` is what follows an ID3 tag, if the file begins with one.
    """
    if begins_with_frames(head):
        return Container("mp3", "mp3")
    return next((container for signature, container in _SIGNATURES if re.match(signature, head, re.DOTALL)), None)


def tag_size(head: bytes) -> int:
    """Bytes of the ID3 tag that a file begins with, pictures and all (id3.org/id3v2.4.0-structure, 3.1 and 3.4); 0 without one."""
    tag = re.match(rb"ID3..(.)([\x00-\x7f]{4})", head, re.DOTALL)
    if not tag:
        return 0
    footer = 10 if tag[1][0] & 0x10 else 0
    size: int = sum(byte << shift for byte, shift in zip(tag[2], (21, 14, 7, 0), strict=True))
    return 10 + footer + size


def is_upload_key(key: str) -> bool:
    """Only what a client itself sent: never another job's source."""
    return _UPLOAD_KEY.fullmatch(key) is not None


def source_key(job_id: UUID, extension: str, number: int = 1) -> str:
    """Of the job's own files, counted from 1; only a joined clip has more than one."""
    return f"sources/{job_id}/source{'' if number == 1 else f'-{number}'}.{extension}"


def check_size(size: int, caps: Caps) -> None:
    """Raises Failure."""
    if size == 0:
        raise Failure(Code.SOURCE_UNREADABLE, "the upload is empty")
    if size > caps.max_bytes:
        raise Failure(Code.INPUT_TOO_LARGE, f"the source has {size} bytes; at most {caps.max_bytes} are allowed")


def check_picture(video: VideoTrack | None) -> None:
    """Raises Failure."""
    if video and video.width * video.height > MAX_PIXELS:
        raise Failure(Code.INPUT_TOO_LARGE, f"the picture is {video.width} x {video.height}; at most {MAX_PIXELS} pixels are allowed")


def check_ranges(event: ClipsRequested, duration: float, caps: Caps) -> None:
    """All that the job's clip is made of. Raises Failure."""
    for wanted in event.segments or (Segment(start=event.start, end=event.end),):
        check_times(wanted.start, wanted.end, duration, caps)


def check_times(start: float, end: float, duration: float, caps: Caps) -> None:
    """`end` may lie END_GRACE_SECONDS past the source's end, if what is inside is still a clip. Raises Failure."""
    if duration > caps.max_seconds:
        raise Failure(Code.INPUT_TOO_LARGE, f"the source is {duration:.0f} s long; at most {caps.max_seconds:.0f} s are allowed")
    too_late = end > duration + END_GRACE_SECONDS
    too_little = end > duration and duration - start < caps.min_clip_seconds
    if start >= duration or too_late or too_little:
        raise Failure(
            Code.RANGE_OUTSIDE_SOURCE, f"the range {start:.3f} to {end:.3f} s is not inside the source, which is {duration:.3f} s long"
        )


_UPLOAD_KEY = re.compile(r"uploads/[A-Za-z0-9][A-Za-z0-9-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_IMAGES = rb"avif|avis|crx |hei[cfmsx]|hev[cmsx]|jpx |mif[12]|msf1"
_SYNC = b"|".join(rb"G(?:.{%d}G){8}" % (size - 1) for size in (188, 192, 204))
"""The sync bytes of nine transport packets: plain, with a time stamp (M2TS), with a checksum."""

_SIGNATURES: tuple[tuple[bytes, Container], ...] = (
    (rb".{4}ftypqt  ", Container("mov", "mov")),
    (rb".{4}ftyp(?!" + _IMAGES + rb")", Container("mov", "mp4")),
    (rb".{4}(?:moov|mdat|wide|free|skip|pnot)", Container("mov", "mov")),
    (rb"\x1a\x45\xdf\xa3.{0,124}webm", Container("matroska", "webm")),
    (rb"\x1a\x45\xdf\xa3", Container("matroska", "mkv")),
    (rb"RIFF.{4}AVI ", Container("avi", "avi")),
    (rb"(?:RIFF|RF64).{4}WAVE", Container("wav", "wav")),
    (rb"FLV\x01", Container("flv", "flv")),
    (rb"\x00\x00\x01\xba", Container("mpeg", "mpg")),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", Container("asf", "wmv")),
    (rb"OggS", Container("ogg", "ogg")),
    (rb"fLaC", Container("flac", "flac")),
    (rb".{0,203}?(?:" + _SYNC + rb")", Container("mpegts", "ts")),
    # ISO 13818-7: twelve sync bits, layer 0, a sampling frequency that exists.
    (rb"\xff[\xf0\xf1\xf8\xf9][\x00-\x33\x40-\x73\x80-\xb3\xc0-\xf3]", Container("aac", "aac")),
)
