"""Sounds for the tests, in files as the service makes them: 16 kHz mono FLAC. And an ear for those whose words are beeps."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.asr.transcriber import Audio
from tests.asr.recordings import Recording

FLAC = ("-ac", "1", "-ar", "16000", "-map_metadata", "-1", "-c:a", "flac", "-f", "flac")


def flac(folder: Path, seconds: float, *inputs: str, name: str = "clip.flac") -> Audio:
    path = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, "-t", str(seconds), *FLAC, str(path)], check=True)
    return Audio(path, seconds)


def tone(folder: Path, seconds: float = 2.0, hertz: int = 300, name: str = "clip.flac") -> Audio:
    return flac(folder, seconds, "-f", "lavfi", "-i", f"sine=frequency={hertz}", name=name)


def spoken(folder: Path, recording: Recording, times: int = 1) -> Audio:
    """The recording, again and again."""
    return flac(folder, recording.seconds * times, "-stream_loop", str(times - 1), "-i", str(recording.path))


RATE = 16_000
Samples: TypeAlias = NDArray[np.int16]
BEEP, PAUSE, BREATH, PHRASE = 0.4, 0.2, 0.7, 5
"""Seconds of a word, between two words and between two phrases; the words of a phrase."""


def word_of(n: int) -> str:
    """The n-th word of a recording of beeps: its pitch in Hz."""
    return str(300 + n % 50 * 50)


def beeps(folder: Path, count: int) -> tuple[Audio, list[tuple[str, float]]]:
    """A recording of words that a program can tell apart, and each with when it begins, in seconds."""
    written, words, length = [], [], 0
    for n in range(count):
        words.append((word_of(n), length / RATE))
        beep = 9000 * np.sin(2 * np.pi * int(word_of(n)) * np.arange(round(BEEP * RATE)) / RATE)
        written += [beep.round().astype(np.int16), np.zeros(round((PAUSE if (n + 1) % PHRASE else BREATH) * RATE), np.int16)]
        length += len(written[-2]) + len(written[-1])
    path = folder / "beeps.pcm"
    path.write_bytes(np.concatenate(written).tobytes())
    return flac(folder, length / RATE, "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-i", str(path)), words


def pcm(content: bytes) -> Samples:
    """The samples of any sound file."""
    decoding = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "-ar", str(RATE), "pipe:1"]
    return np.frombuffer(subprocess.run(decoding, input=content, capture_output=True, check=True).stdout, np.int16)


def heard_beeps(content: bytes) -> dict[str, Any]:
    """verbose_json of the beeps in a sound file; half a beep is one of another pitch, or none."""
    samples = pcm(content)
    words = [
        {"word": str(50 * round(_hertz(samples[start:end]) / 50)), "start": start / RATE, "end": end / RATE}
        for start, end in _loud(samples)
    ]
    return {"text": " ".join(str(word["word"]) for word in words), "words": words, "duration": len(samples) / RATE, "language": "English"}


def _loud(samples: Samples) -> Iterator[tuple[int, int]]:
    """Runs of 10 ms frames above half the beeps' height, of at least 50 ms, as samples."""
    frame = RATE // 100
    padded = np.append(samples, np.zeros(-len(samples) % frame, np.int16)).astype(np.int32)
    loud = (np.abs(padded).reshape(-1, frame).max(axis=1) > 4500).tolist()
    start = None
    for n, is_loud in enumerate([*loud, False]):
        if is_loud and start is None:
            start = n
        elif not is_loud and start is not None:
            if n - start >= 5:
                yield start * frame, n * frame
            start = None


def _hertz(samples: Samples) -> float:
    """By its zero crossings."""
    middle = samples[len(samples) // 10 : -len(samples) // 10]
    crossings = int(np.count_nonzero(np.diff(middle < 0)))
    return crossings * RATE / (2 * len(middle))
