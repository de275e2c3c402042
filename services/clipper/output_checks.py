"""What must be true of a file before it is uploaded: what was expected against what was found. Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

FRAME_TOLERANCE = 0.002
"""Seconds between where a frame is and where it should be: two ticks of the coarsest clock, Matroska's milliseconds."""
DURATION_TOLERANCE = 0.06
"""An audio packet more or less."""
ROUGH_TOLERANCE = 0.3
"""For sources whose packets don't tell their frames."""
LIKENESS = 14.0
"""Mean difference of gray levels, of 255, up to which two tiny pictures are the same frame."""
BOX_HEADER = 8
MOST_BOXES = 1000


@dataclass(frozen=True, slots=True)
class Sight:
    """A look at one frame, `at` seconds from the file's beginning: tiny and gray, as it must be; None: it need only be there."""

    at: float
    picture: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """`frames`: when each is shown, in seconds from the file's beginning; None where that isn't known exactly."""

    duration: float
    frames: tuple[float, ...] | None
    has_video: bool
    has_audio: bool
    sights: tuple[Sight, ...] = ()
    sound_end: float | None = None
    """Where sound is heard from the beginning on, without an end before this. None: not looked at."""
    size: tuple[int, int] | None = None
    """Width and height of the picture as it is stored. None: any."""
    is_mp4: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`complaints` is what a decoder said; `boxes` are the file's top-level boxes in order; `sights` are what was seen, in their order."""

    size: int
    duration: float
    frames: tuple[float, ...]
    begins_with_keyframe: bool
    is_monotonic: bool
    has_video: bool
    has_audio: bool
    complaints: str
    boxes: tuple[str, ...]
    sights: tuple[bytes | None, ...] = ()
    sound: tuple[float, float] | None = None
    picture_size: tuple[int, int] = (0, 0)
    poster: bytes | None = None
    """Nothing to be checked: a picture of it, if one was asked for and could be made."""


def faults(expected: Expected, found: Found) -> tuple[str, ...]:
    """What is wrong with the file, in words a client may read; nothing if it may be uploaded."""
    checks = (
        (found.size > 0, "it is empty"),
        (found.has_video == expected.has_video, "its picture is missing or unasked for"),
        (found.has_audio == expected.has_audio, "its sound is missing or unasked for"),
        (abs(found.duration - expected.duration) <= _tolerance(expected), "it is not as long as it should be"),
        (_has_frames(expected, found), "it does not hold exactly the frames of the range"),
        (found.begins_with_keyframe or not found.has_video, "it does not begin with a keyframe"),
        (found.is_monotonic, "its samples are out of order"),
        (not found.complaints, "it does not decode without errors"),
        (is_fast_start(found.boxes) or not expected.is_mp4, "its index does not come first"),
        (_looks_right(expected, found), "a frame of it is not the source's"),
        (_sounds_throughout(expected, found), "its sound does not last from its beginning to its end"),
        (expected.size in (None, found.picture_size), "its picture is not of the size that it should be"),
    )
    return tuple(fault for is_right, fault in checks if not is_right)


def _tolerance(expected: Expected) -> float:
    frames = expected.frames
    if frames is None:
        return ROUGH_TOLERANCE if expected.has_video else DURATION_TOLERANCE
    last = frames[-1] - frames[-2] if len(frames) > 1 else 0.0
    return max(DURATION_TOLERANCE, last)


def _has_frames(expected: Expected, found: Found) -> bool:
    if expected.frames is None:
        return bool(found.frames) or not expected.has_video
    pairs = zip(expected.frames, found.frames, strict=False)
    return len(expected.frames) == len(found.frames) and all(abs(wanted - got) <= FRAME_TOLERANCE for wanted, got in pairs)


def _looks_right(expected: Expected, found: Found) -> bool:
    seen = zip(expected.sights, found.sights, strict=False)
    return len(expected.sights) == len(found.sights) and all(
        picture is not None and (sight.picture is None or difference(sight.picture, picture) <= LIKENESS) for sight, picture in seen
    )


def _sounds_throughout(expected: Expected, found: Found) -> bool:
    if expected.sound_end is None:
        return True
    begin, end = found.sound or (DURATION_TOLERANCE * 2, 0.0)
    return begin <= DURATION_TOLERANCE and end >= expected.sound_end - DURATION_TOLERANCE


def difference(one: bytes, other: bytes) -> float:
    """Mean absolute difference of two gray pictures of one size, 0 to 255; the most when there is nothing to compare."""
    if not one or len(one) != len(other):
        return 255.0
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def is_fast_start(boxes: tuple[str, ...]) -> bool:
    """The index (moov) stands before the media (mdat): a player can begin before it has the whole file."""
    return "moov" in boxes and "mdat" in boxes and boxes.index("moov") < boxes.index("mdat")


def top_level_boxes(file: BinaryIO) -> Iterator[str]:
    """The types of an MP4's outermost boxes, in order (ISO/IEC 14496-12, 4.2). Stops at what is no box."""
    for _ in range(MOST_BOXES):
        header = file.read(BOX_HEADER)
        if len(header) < BOX_HEADER:
            return
        size, name = struct.unpack(">I4s", header)
        yield name.decode("latin-1")
        body = _body(size, file)
        if body is None or body < 0:
            return
        file.seek(body, 1)


def _body(size: int, file: BinaryIO) -> int | None:
    """Bytes until the next box; None when this one is the last. A size of 1 stands for 64 bits more of header."""
    if size == 1:
        large = file.read(BOX_HEADER)
        return int(struct.unpack(">Q", large)[0]) - 2 * BOX_HEADER if len(large) == BOX_HEADER else None
    return None if size == 0 else size - BOX_HEADER
