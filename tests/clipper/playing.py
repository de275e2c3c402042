"""What a media file shows and plays, as ffmpeg decodes it, and what it holds, by its packets: what judging.py judges by."""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.media import BAR_ROWS, BLOCK, FFMPEG, RATE, told

CROP_WIDTH, CROP_HEIGHT = 152, 88
"""Of every picture the part that is compared: also of those a little smaller, for odd sizes."""
UPRIGHT = {0: "null", 90: "transpose=2", 180: "hflip,vflip", 270: "transpose=1"}
"""By the degrees that a player turns a picture clockwise: the filter that turns it back."""
SAME_TIME = 0.002
"""Seconds between two times that are one."""
PIXEL_TAGS = ("color_primaries", "color_trc", "colorspace")
UNSPECIFIED = {0, 2}
HDR = frozenset({"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"})


@dataclass(frozen=True, slots=True, eq=False)
class Playback:
    """What a player shows and plays, in seconds from the file's beginning."""

    times: NDArray[np.float64]
    numbers: NDArray[np.int64]
    pictures: NDArray[np.uint8]
    beeps: NDArray[np.float64]
    sound_end: float
    complaints: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a file holds, by its packets, whether they are shown or not. Seconds on the file's own clock.

    `payload` is bytes; `sound` is from when to when there is some.
    """

    start: float
    duration: float
    codecs: tuple[str, ...]
    tags: dict[str, object]
    frames: int
    hidden: int
    payload: int
    has_sound: bool
    sound: tuple[float, float]
    sound_packet: float
    keys: tuple[float, ...] = field(default=(), repr=False)


def played(path: Path, *, turn: int = 0, track: int = 0, options: tuple[str, ...] = ()) -> Playback:
    """The file decoded by ffmpeg as a player would, turned as it asks to be, then turned back; `options` are of the input."""
    gray = f"{UPRIGHT[turn]},format=gray,crop={CROP_WIDTH}:{CROP_HEIGHT}:0:0"
    picture = ("-map", "0:v:0?", "-vf", gray, "-fps_mode", "passthrough", "-enc_time_base", "1:90000")
    heard = f"aresample={RATE}:async=1:min_hard_comp=0.001:first_pts=0"
    sound = ("-map", f"0:a:{track}?", "-af", heard, "-ac", "1", "-f", "s16le")
    with TemporaryDirectory() as folder:
        outputs: list[str] = []
        with av.open(str(path)) as file:
            if file.streams.video:
                outputs += [*picture, "-f", "rawvideo", f"{folder}/gray", *picture, "-f", "framecrc", f"{folder}/times"]
            if file.streams.audio:
                outputs += [*sound, f"{folder}/sound"]
        ended = run([FFMPEG, "-v", "error", *options, "-i", str(path), *outputs])
        return _playback(Path(folder), ended.stderr.decode(errors="replace") or ("" if ended.returncode == 0 else "it failed"))


def _playback(folder: Path, complaints: str) -> Playback:
    gray, times, sound = (_bytes(folder / name) for name in ("gray", "times", "sound"))
    size = CROP_WIDTH * CROP_HEIGHT
    pictures = np.frombuffer(gray[: len(gray) // size * size], np.uint8).reshape(-1, CROP_HEIGHT, CROP_WIDTH)
    lines = [line for line in times.decode().splitlines() if line and not line.startswith("#")]
    shown = np.array([int(line.split(",")[2]) / 90_000 for line in lines][: len(pictures)])
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], np.int16)
    return Playback(shown, numbers_on(pictures), pictures, _beeps(samples), len(samples) / RATE, complaints)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def numbers_on(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The numbers that these gray pictures (n, rows, columns) carry."""
    bits = pictures[:, BAR_ROWS // 2, BLOCK // 2 :: BLOCK] > 128  # half of white
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[1]))


def _beeps(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 6000)  # a fifth of the loudest
    first = np.diff(loud, prepend=-RATE) > RATE // 10
    return loud[first] / RATE


def held_in(path: Path, *, track: int = 0) -> Held:
    with av.open(str(path), options={"ignore_editlist": "1"}) as raw, av.open(str(path)) as file:
        everything, shown = _packets(raw), _packets(file)
        pictures = [p for p in shown if p.stream.type == "video"]
        sounds = [p for p in shown if p.stream.type == "audio" and p.stream.index == file.streams.audio[track].index]
        return Held(
            start=(file.start_time or 0) / av.time_base,
            duration=(file.duration or 0) / av.time_base,
            codecs=tuple(s.codec_context.name for s in file.streams),
            tags=_tags(path) if file.streams.video else {},
            frames=sum(p.stream.type == "video" for p in everything),
            hidden=sum(p.is_discard for p in pictures),
            payload=sum(p.size for p in everything),
            has_sound=bool(file.streams.audio),
            sound=_span(sounds),
            sound_packet=max((float((p.duration or 0) * p.time_base) for p in sounds), default=0.0),
            keys=tuple(_time(p) for p in pictures if p.is_keyframe and not p.is_discard),
        )


def _packets(file: Any) -> list[Any]:
    return [packet for packet in file.demux() if packet.size]


def _time(packet: Any) -> float:
    return float((packet.pts if packet.pts is not None else packet.dts or 0) * packet.time_base)


def _span(packets: list[Any]) -> tuple[float, float]:
    return (_time(packets[0]), max(_time(p) + float((p.duration or 0) * p.time_base) for p in packets)) if packets else (0.0, 0.0)


FULL_RANGE = 2
"""AVCOL_RANGE_JPEG; what is not told is limited."""


def _tags(path: Path) -> dict[str, object]:
    """What the first frame says of its colours, its display and its turn."""
    with av.open(str(path)) as file:
        frame: Any = next(file.decode(video=0))
        colours = {name: int(getattr(frame, name)) for name in PIXEL_TAGS}
        light = {side.type.name: bytes(side) for side in frame.side_data if side.type.name in HDR}
        told = {name: code for name, code in colours.items() if code not in UNSPECIFIED}
        return {**told, **light, "is_full_range": int(frame.color_range) == FULL_RANGE}


def pixels(path: Path, second: float = 0.5) -> NDArray[np.int16]:
    """The picture shown then, as rows of red, green and blue."""
    width, height = map(int, told(path, "stream=width,height", "-select_streams", "v")[0].split(","))
    output = ("-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    shown = run([FFMPEG, "-v", "error", "-ss", str(second), "-i", str(path), *output])
    return np.frombuffer(shown.stdout, np.uint8).reshape(height, width, 3).astype(np.int16)


def boxes(path: Path) -> Iterator[tuple[str, int]]:
    data, at = path.read_bytes(), 0
    while at + 16 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        whole = struct.unpack_from(">Q", data, at + 8)[0] if size == 1 else size or len(data) - at
        yield name.decode("latin-1"), whole
        at += max(whole, 8)


def number_at(path: Path, time: float, turn: int) -> int | None:
    with av.open(str(path)) as file:
        file.seek(round((time + SAME_TIME) * av.time_base))
        frames: Iterator[Any] = file.decode(video=0)
        for frame in frames:
            if frame.time is not None and frame.time > time - SAME_TIME:
                gray = frame.reformat(format="gray").to_ndarray()
                upright = np.rot90(gray, turn // 90) if turn and not frame.rotation else gray
                return int(numbers_on(upright[None, :CROP_HEIGHT, :CROP_WIDTH])[0])
    return None


def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=60, check=False)
