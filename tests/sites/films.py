"""Films whose right answers are known: picture n carries the number n and is shown at n / RATE seconds; a beep at each whole second.

Made once and kept in a folder of the caller's: `pytestconfig.cache.mkdir("films")` keeps it from session to session.
"""

import os
import subprocess
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path

import numpy as np

from tests.media import BAR_ROWS, BEEP, BITS, BLOCK, FFMPEG, HEIGHT, RATE, WIDTH, gop

FOLDER = "films"
"""In pytest's cache, for all workers of a session."""
FRAME_RATE = 10
GOP = 21
"""Pictures from keyframe to keyframe: keyframes are on whole seconds only every 21 s."""
HOUR_SECONDS = 3600
SHORT_SECONDS = 20
RECIPE = "3"
"""In the names of what is kept: to be raised when films are made differently."""

AUDIO_FRAME = 1024
LOOP_FRAMES = 3000
"""64 s exactly: after so many AAC frames the beeps are where they were."""
SOUND = f"aevalsrc='0.5*{BEEP}+0.05*(random(0)-0.5)':s={RATE}:d=66"
BITRATE = ("-b:v", "70k", "-maxrate", "100k", "-bufsize", "200k")
AT_ONCE = 500
"""Pictures drawn at a time, 11 MB."""


def hour_film(folder: Path) -> Path:
    """60 min, 36,000 pictures, H.264 with B-frames and AAC of 128 kbit/s in an MP4 of about 90 MB whose moov comes first."""
    return film(folder / f"hour-{RECIPE}.mp4", HOUR_SECONDS)


def short_film(folder: Path, *, first: int = 0) -> Path:
    """20 s of the same; its pictures are numbered from `first` on."""
    return film(folder / f"short-{RECIPE}-{first}.mp4", SHORT_SECONDS, first=first)


def film(path: Path, seconds: int, *, first: int = 0) -> Path:
    """Made unless it is there. Of several that ask for it at once, one makes it and the others wait."""
    with path.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        return path if path.exists() else _made(path, seconds, first)


def _made(path: Path, seconds: int, first: int) -> Path:
    sound, made = path.with_suffix(f".{os.getpid()}.aac"), path.with_suffix(f".{os.getpid()}.mp4")
    sound.write_bytes(_sound(seconds))
    pictures = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-framerate", str(FRAME_RATE), "-i", "-")
    primed = ("-itsoffset", str(-AUDIO_FRAME / RATE), "-i", str(sound), "-c:a", "copy")
    command = [FFMPEG, "-v", "error", "-y", *pictures, *primed, *gop(GOP), *BITRATE, "-movflags", "+faststart", str(made)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        for drawn in _pictures(first, seconds * FRAME_RATE):
            process.stdin.write(drawn)
    assert process.returncode == 0
    sound.unlink()
    return made.replace(path)


def _pictures(first: int, count: int) -> Iterator[bytes]:
    """YUV 4:2:0: the barcode of tests.media above noise, which is what gives the film its size."""
    random = np.random.default_rng(first)
    noise = random.integers(60, 190, size=1 << 20, dtype=np.uint8)
    below = (HEIGHT - BAR_ROWS) * WIDTH
    for start in range(0, count, AT_ONCE):
        numbers = np.arange(first + start, first + min(start + AT_ONCE, count))
        pictures = np.full((len(numbers), WIDTH * HEIGHT * 3 // 2), 128, np.uint8)
        pictures[:, : BAR_ROWS * WIDTH] = np.tile(_bars(numbers), BAR_ROWS)
        for picture, at in zip(pictures, random.integers(0, len(noise) - below, len(numbers)), strict=True):
            picture[BAR_ROWS * WIDTH : HEIGHT * WIDTH] = noise[at : at + below]
        yield pictures.tobytes()


def _bars(numbers: np.ndarray) -> np.ndarray:
    bits = numbers[:, None] >> np.arange(BITS) & 1
    return np.repeat(np.where(bits, 235, 16).astype(np.uint8), BLOCK, axis=1)


def _sound(seconds: int) -> bytes:
    """ADTS: encoded once for 64 s and repeated from there on; the first frame is the encoder's priming."""
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", SOUND, "-c:a", "aac", "-b:a", "128k", "-f", "adts", "-"]
    frames = list(_adts(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout))
    count = 1 + -(-seconds * RATE // AUDIO_FRAME)
    loop = frames[1 : 1 + LOOP_FRAMES]
    return b"".join([frames[0], *(loop * (count // LOOP_FRAMES + 1))][:count])


def _adts(data: bytes) -> Iterator[bytes]:
    """Its frames: 13 bits of the header are a frame's length (ISO/IEC 13818-7, 6.2.1)."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 3 : at + 6], "big") >> 5 & 0x1FFF
        yield data[at : at + length]
        at += length


def numbers_in(path: Path, *options: str) -> list[int]:
    """The numbers of the pictures of a file, in the order in which they are shown; whatever their size. `options` are the input's."""
    fitted = ("-map", "0:v:0", "-vf", f"scale={WIDTH}:{HEIGHT}:flags=neighbor,format=gray,crop={WIDTH}:1:0:{BAR_ROWS // 2}")
    command = [FFMPEG, "-v", "error", *options, "-i", str(path), *fitted, "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120).stdout
    rows = np.frombuffer(raw, np.uint8).reshape(-1, WIDTH)
    bits = rows[:, BLOCK // 2 : BITS * BLOCK : BLOCK] > 128
    return (bits.astype(np.int64) @ (1 << np.arange(BITS))).tolist()
