"""Small coded files and what ffmpeg says of them: the judge of these tests. Their samples come to us through PyAV's demuxer."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from tests.media import FFMPEG, FFPROBE

RATE = 25
QUIET_X265 = "log-level=error:pools=2:frame-threads=1"


@dataclass(frozen=True)
class Sample:
    data: bytes
    time: int
    """In frames from the file's first."""
    is_key: bool


@dataclass(frozen=True)
class Coded:
    path: Path
    configuration: bytes
    samples: list[Sample]


def encode(path: Path, *options: str, size: str = "128x80", frames: int = 24, skip: int = 0) -> Coded:
    """An MP4 of a test picture from its frame `skip` on."""
    shown = f"select=gte(n\\,{skip}),setpts=N/{RATE}/TB"
    source = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={RATE}", "-vf", shown, "-frames:v", str(frames))
    run(FFMPEG, "-v", "error", "-y", *source, *options, str(path))
    return read(path)


def x264(path: Path, *options: str, params: str = "", **shape: Any) -> Coded:
    return encode(path, "-c:v", "libx264", "-preset", "veryfast", "-x264-params", f"threads=1:{params}", *options, **shape)


def x265(path: Path, *options: str, params: str = "", **shape: Any) -> Coded:
    given = ("-c:v", "libx265", "-tag:v", "hvc1", "-preset", "ultrafast", "-x265-params", f"{QUIET_X265}:{params}")
    return encode(path, *given, *options, **shape)


def read(path: Path) -> Coded:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = 1 / (stream.time_base * RATE)
        packets = [packet for packet in container.demux(stream) if packet.size]
        first = min(packet.pts for packet in packets)
        samples = [Sample(bytes(p), round((p.pts - first) / frame), p.is_keyframe) for p in packets]
        return Coded(path, stream.codec_context.extradata or b"", samples)


def mux(path: Path, like: Coded, configuration: bytes, samples: Sequence[Sample]) -> Path:
    """An MP4 of these samples, in this order; decode times are the presentation times in order, far enough ahead."""
    times = sorted(sample.time for sample in samples)
    ahead = max(decode - sample.time for decode, sample in zip(times, samples, strict=True))
    with av.open(str(like.path)) as template, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(template.streams.video[0])
        stream.codec_context.extradata = configuration
        stream.time_base = Fraction(1, RATE)
        for decode, sample in zip(times, samples, strict=True):
            packet = av.Packet(sample.data)
            packet.stream, packet.time_base = stream, Fraction(1, RATE)
            packet.pts, packet.dts, packet.duration = sample.time, decode - ahead, 1
            packet.is_keyframe = sample.is_key
            out.mux(packet)
    return path


def later(samples: Iterable[Sample], frames: int) -> list[Sample]:
    return [replace(sample, time=sample.time + frames) for sample in samples]


@cache
def pictures(path: Path, *before: str) -> list[str]:
    """A hash of each decoded picture; a complaint of the decoder is an error."""
    strict = ("-v", "error", "-xerror", "-err_detect", "explode")
    written = run(FFMPEG, *strict, *before, "-i", str(path), "-fps_mode", "passthrough", "-f", "framemd5", "-")
    return [line.rpartition(",")[2].strip() for line in written.splitlines() if not line.startswith("#")]


@cache
def probed(path: Path) -> dict[str, Any]:
    entries = "stream=pix_fmt,width,height,level,has_b_frames"
    stream: dict[str, Any] = json.loads(run(FFPROBE, "-v", "error", "-show_entries", entries, "-of", "json", str(path)))["streams"][0]
    return stream


def traced(path: Path, field: str) -> list[int]:
    """A field of each packet's first slice header, as ffmpeg's own parser of headers reads it."""
    trace = run(FFMPEG, "-i", str(path), "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-", told=True)
    found = []
    for packet in trace.split("] Packet: ")[1:]:
        slice_header = packet.partition("Slice Header")[2] or packet.partition("Slice Segment Header")[2]
        match = re.search(rf"\b{field} +[01]+ = (\d+)", slice_header)
        assert match is not None
        found.append(int(match[1]))
    return found


def run(*command: str, told: bool = False) -> str:
    """What it writes; it may complain of nothing, unless it is `told` to write there."""
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env={**os.environ, "SVT_LOG": "1"})
    complaints = done.stderr.decode(errors="replace")
    assert done.returncode == 0, complaints
    assert told or not complaints.strip(), complaints
    return complaints if told else done.stdout.decode()
