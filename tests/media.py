"""Media whose right answers are known: each picture carries its own number as a barcode, and beeps begin at known instants.

Built and read back by the ffmpeg of the settings, so that what is checked never went through the code under test.
"""

import os
import struct
import subprocess
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 160, 96
BITS, BLOCK = 16, 10
BAR_ROWS = 40
RATE = 48_000
BEEP = "sin(2*PI*1000*t)*lt(mod(t,1),0.05)"
"""One at every whole second."""
UNEVEN_BEEPS = ("-af", "aeval='sin(2*PI*1000*t)*(lt(mod(t,1),0.05)+between(mod(t,1),0.3,0.35)+between(mod(t,1),0.65,0.7))':c=same")
"""Three a second instead, at uneven distances, so that sound that is late by one of them is found out; options for `audio`."""
FFMPEG = os.environ.get("FFMPEG_BIN") or "ffmpeg"
FFPROBE = os.environ.get("FFPROBE_BIN") or "ffprobe"

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "2")


def gop(length: int, *, bframes: int = 2, more: str = "") -> tuple[str, ...]:
    """x264 with a keyframe every `length` frames exactly."""
    return (*H264, "-g", str(length), "-bf", str(bframes), "-x264-params", f"keyint={length}:min-keyint={length}:scenecut=0{more}")


def hevc(length: int, *, bframes: int = 3, pixels: str = "yuv420p", is_open: bool = False, more: str = "") -> tuple[str, ...]:
    """x265 with a keyframe every `length` frames exactly; of open GOPs the later ones are CRA pictures."""
    shape = f"keyint={length}:min-keyint={length}:scenecut=0:bframes={bframes}:open-gop={int(is_open)}{more}"
    quiet = "log-level=none:pools=none:frame-threads=1"
    return ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", pixels, "-tag:v", "hvc1", "-x265-params", f"{shape}:{quiet}")


def picture(number: int) -> bytes:
    """A YUV 4:2:0 picture: the barcode of its number above a pattern that moves."""
    bar = b"".join((b"\xeb" if number >> bit & 1 else b"\x10") * BLOCK for bit in range(BITS))
    wave = bytes(40 + (x * 5 + number * 11) % 160 for x in range(WIDTH))
    chroma = bytes([(96 + number * 3) % 64 + 96]) * (WIDTH * HEIGHT // 2)
    return bar * BAR_ROWS + wave * (HEIGHT - BAR_ROWS) + chroma


def make(
    path: Path,
    *,
    frames: int = 300,
    rate: str = "30",
    video: tuple[str, ...] | None = gop(60),
    audio: tuple[str, ...] | None = ("-c:a", "aac", "-b:a", "64k"),
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    seconds: float | None = None,
) -> Path:
    """A file of numbered pictures and beeps; `video` or `audio` None: without. `before` and `after` are options of input and output.

    `seconds` is how long the sound is: as long as the picture, unless said.
    """
    numerator, _, denominator = rate.partition("/")
    length = seconds or frames * int(denominator or 1) / int(numerator)
    inputs, maps = list(before), []
    if video is not None:
        inputs += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-framerate", rate, "-i", "-"]
        maps += ["-map", "0:v"]
    if audio is not None:
        inputs += ["-f", "lavfi", "-i", f"aevalsrc='{BEEP}':s={RATE}:d={length}"]
        maps += ["-map", f"{1 if video is not None else 0}:a"]
    pictures = b"".join(picture(n) for n in range(frames)) if video is not None else b""
    _run([FFMPEG, "-v", "error", "-y", *inputs, *maps, *(video or ()), *(audio or ()), *after, str(path)], pictures)
    return path


def remuxed(source: Path, path: Path, *options: str, plus: Path | None = None) -> Path:
    """The same streams in another container; `plus` is a second input, for options such as `-map 1`."""
    inputs = ["-i", str(source), *(["-i", str(plus)] if plus else [])]
    _run([FFMPEG, "-v", "error", "-y", *inputs, "-map", "0", "-c", "copy", *options, str(path)])
    return path


def converted(path: Path, *arguments: str) -> Path:
    """What ffmpeg makes of these arguments, inputs and all."""
    _run([FFMPEG, "-v", "error", "-y", *arguments, str(path)])
    return path


def turned(path: Path, degrees: int = 90) -> Path:
    """The same MP4, to be shown turned clockwise: the matrix in its first (video) track header is rewritten (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 16
    cosine, sine, x, y = {90: (0, 1, HEIGHT, 0), 180: (-1, 0, WIDTH, HEIGHT), 270: (0, -1, 0, WIDTH)}[degrees]
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, cosine * one, sine * one, 0, -sine * one, cosine * one, 0, x * one, y * one, 1 << 30)
    path.write_bytes(data)
    return path


def numbers(path: Path, *, options: tuple[str, ...] = ("-noautorotate",)) -> list[int]:
    """The numbers that the file's pictures carry, in the order in which they are shown."""
    every = ("-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    raw = _run([FFMPEG, "-v", "error", *options, "-i", str(path), *every])
    size = WIDTH * HEIGHT
    return [_number(raw[n : n + size]) for n in range(0, len(raw), size)]


def _number(gray: bytes) -> int:
    row = WIDTH * (BAR_ROWS // 2)
    return sum(1 << bit for bit in range(BITS) if gray[row + bit * BLOCK + BLOCK // 2] > 128)


def beeps(path: Path, *, options: tuple[str, ...] = ()) -> list[float]:
    """When beeps begin, in seconds from the file's beginning."""
    sound = ("-map", "0:a:0", "-af", f"aresample={RATE}:async=1:min_hard_comp=0.001:first_pts=0", "-ac", "1", "-f", "s16le", "-")
    samples = np.frombuffer(_run([FFMPEG, "-v", "error", *options, "-i", str(path), *sound]), np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 6000)
    begins = loud[np.diff(loud, prepend=-RATE) > RATE // 4]
    return [int(n) / RATE for n in begins]


def told(path: Path, entries: str, *options: str) -> list[str]:
    """What ffprobe says of these entries, a line each."""
    answer = _run([FFPROBE, "-v", "error", *options, "-show_entries", entries, "-of", "csv=p=0", str(path)])
    return [line.rstrip(",") for line in answer.decode().split()]


def _run(command: list[str], stdin: bytes = b"") -> bytes:
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True, timeout=60).stdout
