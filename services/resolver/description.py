"""Describes a source with libav in ffprobe's words, which `media` judges; without rotation and pixel format, which nobody here needs.

The main of a warm process: the service itself never imports it, for libav belongs into children under limits.
"""

from fractions import Fraction
from typing import Any

import av
import av.logging
import msgspec
from av.container import InputContainer
from av.stream import Disposition, Stream

from libs.common.runtime.media import input_options
from libs.common.runtime.warm_process import serve
from services.resolver.described import Describe, Keyframes
from services.resolver.keyframes import keyframes_near

# An MP4's index says all that is asked: no sample is read, no decoder opened.
_BY_INDEX = {"mov": {"probesize": "32", "analyzeduration": "0", "codec_whitelist": "none", "fflags": "+noparse+nofillin"}}


def describe(asked: Describe) -> dict[str, Any]:
    """Its format and streams; without streams when libav can't read it. Raises MemoryError alone."""
    try:
        with _opened(asked) as file:
            return {"format": _format(file), "streams": [_stream(stream) for stream in file.streams]}
    except av.FFmpegError:
        return {}


def keyframes(asked: Describe, near: Keyframes) -> list[float]:
    """Their times on the file's own clock, rising; none when libav can't tell. Of the video that `media` takes: the first with a size."""
    try:
        with _opened(asked) as file:
            pictures = (stream for stream in file.streams.video if not stream.disposition & Disposition.attached_pic and stream.width)
            stream = next(pictures, None)
            return keyframes_near(file, stream, near) if stream else []
    except av.FFmpegError:
        return []


def _opened(asked: Describe) -> InputContainer:
    """By its index alone, unless that leaves a picture without a size: MPEG-4 part 2 tells it in its bitstream only."""
    file = _open(asked, _BY_INDEX.get(asked.demuxer, {}))
    if all(stream.codec_context is None or stream.codec_context.width for stream in file.streams.video):
        return file
    file.close()
    return _open(asked, {})


def _open(asked: Describe, how: dict[str, str]) -> InputContainer:
    av.logging.set_level(None)
    guards = {name: value for name, value in input_options(asked.url, asked.demuxer).items() if name != "f"}
    return av.open(asked.url, format=asked.demuxer, options=guards | how, metadata_errors="replace")


def _format(file: InputContainer) -> dict[str, Any]:
    clock = Fraction(1, av.time_base)
    return {"start_time": _seconds(file.start_time, clock), "duration": _seconds(file.duration, clock)}


def _stream(stream: Stream) -> dict[str, Any]:
    clock = stream.time_base or Fraction(0)
    return {
        "index": stream.index,
        "codec_type": stream.type,
        "time_base": str(clock),
        "start_time": _seconds(stream.start_time, clock),
        "duration": _seconds(stream.duration, clock),
        "disposition": {
            "default": int(Disposition.default in stream.disposition),
            "attached_pic": int(Disposition.attached_pic in stream.disposition),
        },
        **_coding(stream),
    }


def _coding(stream: Any) -> dict[str, Any]:
    """What a stream whose codec libav does not know does not have."""
    context = stream.codec_context
    if context is None:
        return {}
    named = {"codec_name": context.codec.canonical_name}
    match stream.type:
        case "video":
            rates = {"avg_frame_rate": _ratio(stream.average_rate), "r_frame_rate": _ratio(stream.base_rate)}
            return {**named, "width": context.width, "height": context.height, **rates}
        case "audio":
            return {**named, "sample_rate": context.sample_rate, "channels": context.channels}
    return named


def _seconds(ticks: int | None, clock: Fraction) -> float | None:
    return None if ticks is None else float(ticks * clock)


def _ratio(rate: Fraction | None) -> str | None:
    return str(rate) if rate else None


def _answer(request: bytes) -> bytes:
    asked = msgspec.json.decode(request, type=Describe)
    return msgspec.json.encode(keyframes(asked, asked.keyframes) if asked.keyframes else describe(asked))


if __name__ == "__main__":
    serve(_answer)
