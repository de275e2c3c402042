"""What is asked of a finished MP4, and what was found in it: the words between the service and `inspection`. Pure."""

from typing import Literal

import msgspec

PICTURE_WIDTH, PICTURE_HEIGHT = 64, 36
"""Of the tiny gray pictures that frames are compared by; ffmpeg_plan makes the other side of the comparison."""


UNSPECIFIED = 2
"""What no stream says of its colours, as a code point of ITU-T H.273."""
MOST_STRETCHED = 10
"""Times that a pixel may be wider than high, or higher than wide; beyond that a file is not believed."""
SIDEWAYS = (90, 270)
Form = Literal["mov", "mp3", "gif"]
"""The demuxer that reads a file of ours."""


class Look(msgspec.Struct, frozen=True):
    """Decode the `frames` pictures shown from `at` on (seconds from the file's beginning). `upright`: seen as a player turns them."""

    at: float
    frames: int
    upright: bool = False


class Inspect(msgspec.Struct, frozen=True):
    """The path is absolute. `poster`: a picture of the file is wanted too. What is no MP4 is decoded whole, and has no looks."""

    path: str
    looks: tuple[Look, ...]
    poster: bool = False
    form: Form = "mov"


class Looked(msgspec.Struct, frozen=True):
    """The picture shown at the look's time (within a millisecond), tiny and gray; and how many of its frames decoded without a fault."""

    picture: bytes | None = None
    decoded: int = 0


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What libav reads from the file, of its first video and its first audio. Times are seconds from the file's beginning.

    `video`: when each packet is shown, sorted, with those that an edit list hides. `audio`: when sound begins and ends, edits applied.
    `duration`: from the first stream's beginning to the last one's end. `codecs`: of every stream, in order. `channels`: of the sound.
    `rotation`: clockwise, in degrees, `transfer` and `matrix`: of the colours (H.273); known only where a look shows a picture.
    `timescale`: ticks a second of the picture's clock. `stretch`: how much wider than high a pixel is shown.
    `is_monotonic`: decode times rise strictly in each stream.
    `looks`: one for each asked, if the file can be read. `poster`: a JPEG, None where none was asked for, or none could be made.
    `complaints`: what libav and our own checks object to, cut to 2,000 characters.
    """

    video: tuple[float, ...] = ()
    audio: tuple[float, float] | None = None
    duration: float = 0.0
    has_video: bool = False
    has_audio: bool = False
    codecs: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    timescale: int = 0
    rotation: int = 0
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    stretch: float = 1.0
    channels: int = 0
    first_is_key: bool = False
    is_monotonic: bool = False
    looks: tuple[Looked, ...] = ()
    poster: bytes | None = None
    complaints: str = ""


def shown_size(told: Inspected) -> tuple[int, int]:
    """Width and height in square pixels, turned as a player turns them."""
    size = (round(told.width * believable(told.stretch)), told.height)
    return size[::-1] if told.rotation in SIDEWAYS else size


def believable(stretch: float) -> float:
    """How much wider than high a pixel is; square where no one would make it so."""
    return stretch if 1 / MOST_STRETCHED <= stretch <= MOST_STRETCHED else 1.0
