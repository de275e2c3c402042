"""What a media file holds, read from ffprobe's words, which are claims of a hostile file; and the commands to ask it. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import AudioTrack, VideoTrack

DEMUXERS = frozenset({"mov", "matroska", "mpegts", "mpeg", "avi", "flv", "asf", "ogg", "wav", "mp3", "aac", "flac"})
"""The formats that we read: none of them names another file or address (findings B4)."""
WRAPPING = frozenset({"mpegts", "mpeg"})
"""Formats whose clock starts anywhere and begins again at 2^33 ticks: ffmpeg counts backwards from there."""
MAX_PIXELS = 7680 * 4320
MAX_STREAMS = 64
MAX_SECONDS = 1e9
MAX_FRAME_RATE = 1000.0
UNKNOWN_CODEC = "unknown"

_FORMAT = "start_time,duration"
_STREAM = "index,codec_type,codec_name,width,height,pix_fmt,time_base,avg_frame_rate,r_frame_rate,start_time,duration,sample_rate,channels"
_ENTRIES = f"format={_FORMAT}:stream={_STREAM}:stream_disposition=default,attached_pic:stream_tags=rotate:stream_side_data=rotation"
_PACKET = "packet=stream_index,pts_time,dts_time,duration_time,flags"
_PACKET_FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """Where the picture is in the file. `rotation` is clockwise, 0, 90, 180 or 270 degrees, to be applied for showing."""

    index: int
    time_base: Fraction
    pixel_format: str
    rotation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file's claims, of its first real video and its default audio. Times are seconds on the file's own clock.

    `start_time` is what a player shows as 0:00, so a client's second t is the file's `start_time + t`.
    `duration` is None where the file does not say. `width` and `height` of `video` are stored, before rotation.
    """

    container: str
    start_time: float
    duration: float | None
    video: VideoTrack | None
    audio: AudioTrack | None
    video_stream: VideoStream | None
    audio_index: int | None
    streams: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded frame, in decode order. Seconds on the file's own clock; None where the file does not say.

    `is_hidden`: it is decoded but not shown (an edit list cuts it off).
    """

    stream: int
    time: float | None
    decode_time: float | None
    duration: float
    is_key: bool
    is_hidden: bool = False


def input_options(url: str, demuxer: str) -> dict[str, str]:
    """The options that every input of ffmpeg and ffprobe gets: one protocol, one format, bounded pictures and streams.

    Raises Failure(SOURCE_UNREADABLE) for a format that we don't read.
    """
    if demuxer not in DEMUXERS:
        raise Failure(Code.SOURCE_UNREADABLE, "the source is in no format that this service reads")
    return {
        "protocol_whitelist": "http,tcp" if url.startswith("http://127.0.0.1:") else "file",
        "format_whitelist": demuxer,
        "max_pixels": str(MAX_PIXELS),
        "max_streams": str(MAX_STREAMS),
        "f": demuxer,
    }


def probe_command(program: str, url: str, demuxer: str) -> list[str]:
    return [*_command(program, url, demuxer, _ENTRIES), "-of", "json", "-i", url]


def packets_command(program: str, url: str, demuxer: str, since: float | None) -> list[str]:
    """`since`, on the file's own clock, is where reading begins: at a keyframe at or before it, if the format can find one."""
    interval = [] if since is None else ["-read_intervals", f"{since:.6f}%"]
    return [*_command(program, url, demuxer, _PACKET), *interval, "-of", "csv=p=0", "-i", url]


def _command(program: str, url: str, demuxer: str, entries: str) -> list[str]:
    guards = [part for name, value in input_options(url, demuxer).items() for part in (f"-{name}", value)]
    return [program, "-hide_banner", "-v", "error", *guards, "-show_entries", entries]


def packet_of(line: str) -> Packet | None:
    """A line of ffprobe's CSV, or None for what is no packet."""
    fields = line.split(",")
    if len(fields) < _PACKET_FIELDS or not fields[0].isascii() or not fields[0].isdigit():
        return None
    flags = fields[4]
    return Packet(
        stream=int(fields[0][:6]),
        time=_number(fields[1]),
        decode_time=_number(fields[2]),
        duration=max(_number(fields[3]) or 0.0, 0.0),
        is_key="K" in flags,
        is_hidden="D" in flags,
    )


def media(document: bytes, demuxer: str) -> Media:
    """ffprobe's JSON as Media. Raises Failure(SOURCE_UNREADABLE) when nothing in it can be played."""
    told = _decoded(document)
    streams = [stream for stream in _list(told.get("streams")) if isinstance(stream, dict)]
    if len(streams) > MAX_STREAMS:
        raise Failure(Code.SOURCE_UNREADABLE, f"the source holds more than {MAX_STREAMS} streams")
    picture = _picture([s for s in streams if _is_moving(s)])
    sound = _default([s for s in streams if s.get("codec_type") == "audio" and (_whole(s.get("channels")) or 0) > 0])
    if picture is None and sound is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source holds neither video nor audio")
    return Media(
        container=demuxer,
        start_time=_start(_dict(told.get("format")), streams, demuxer),
        duration=_duration(_dict(told.get("format")), streams),
        video=_video(picture) if picture else None,
        audio=_audio(sound) if sound else None,
        video_stream=_video_stream(picture) if picture else None,
        audio_index=_whole(sound.get("index")) if sound else None,
        streams=len(streams),
    )


def _decoded(document: bytes) -> dict[str, Any]:
    try:
        return _dict(msgspec.json.decode(document))
    except msgspec.DecodeError:
        raise Failure(Code.SOURCE_UNREADABLE, "the source's description can't be read") from None


def _is_moving(stream: Mapping[str, Any]) -> bool:
    """Real video, no cover art."""
    return stream.get("codec_type") == "video" and _dict(stream.get("disposition")).get("attached_pic") != 1


def _picture(streams: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first video of a size. Video without one, which ffprobe also says of a picture beyond its limit, must not pass as sound alone."""
    sized = (s for s in streams if (_whole(s.get("width")) or 0) > 0 and (_whole(s.get("height")) or 0) > 0)
    picture = next(sized, None)
    if streams and picture is None:
        raise Failure(Code.SOURCE_UNREADABLE, "the source's picture can't be read, or is too large")
    return picture


def _default(streams: list[dict[str, Any]]) -> dict[str, Any] | None:
    marked = (s for s in streams if _dict(s.get("disposition")).get("default") == 1)
    return next(marked, next(iter(streams), None))


def _video(stream: Mapping[str, Any]) -> VideoTrack:
    rate = _ratio(stream.get("avg_frame_rate")) or _ratio(stream.get("r_frame_rate")) or Fraction(0)
    return VideoTrack(
        codec=_word(stream.get("codec_name")),
        width=_whole(stream.get("width")) or 0,
        height=_whole(stream.get("height")) or 0,
        frame_rate=min(float(rate), MAX_FRAME_RATE),
    )


def _video_stream(stream: Mapping[str, Any]) -> VideoStream:
    return VideoStream(
        index=_whole(stream.get("index")) or 0,
        time_base=_ratio(stream.get("time_base")) or Fraction(1, 90_000),
        pixel_format=_word(stream.get("pix_fmt")),
        rotation=_rotation(stream),
    )


def _audio(stream: Mapping[str, Any]) -> AudioTrack:
    rate = _number(stream.get("sample_rate")) or 0.0
    return AudioTrack(codec=_word(stream.get("codec_name")), sample_rate=int(rate), channels=_whole(stream.get("channels")) or 0)


def _rotation(stream: Mapping[str, Any]) -> int:
    """The display matrix counts anticlockwise; the older tag counts clockwise."""
    turned = [_number(_dict(side).get("rotation")) for side in _list(stream.get("side_data_list"))]
    matrix = next((angle for angle in turned if angle is not None), None)
    tag = _number(_dict(stream.get("tags")).get("rotate"))
    clockwise = -matrix if matrix is not None else tag or 0.0
    return round(clockwise / 90) * 90 % 360


def _start(container: Mapping[str, Any], streams: Iterable[Mapping[str, Any]], demuxer: str) -> float:
    """What lies before zero only primes an audio decoder, and no player shows it; but the clock of a transport stream may wrap."""
    starts = [_number(container.get("start_time")), *(_number(s.get("start_time")) for s in streams)]
    start = next((start for start in starts if start is not None), 0.0)
    return start if demuxer in WRAPPING else max(start, 0.0)


def _duration(container: Mapping[str, Any], streams: Iterable[Mapping[str, Any]]) -> float | None:
    claims = [_number(container.get("duration")), *(_number(s.get("duration")) for s in streams)]
    return next((claim for claim in claims if claim is not None and claim > 0), None)


def _number(value: object) -> float | None:
    """A finite number of believable size, or None: N/A, nan, 1e400 and missing fields are the same to us."""
    if not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < MAX_SECONDS else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _ratio(value: object) -> Fraction | None:
    """A positive "30000/1001", or None."""
    if not isinstance(value, str):
        return None
    try:
        ratio = Fraction(value)
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if ratio > 0 else None


def _word(value: object) -> str:
    return value[:40] if isinstance(value, str) and value else UNKNOWN_CODEC


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
