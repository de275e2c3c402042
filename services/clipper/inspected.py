"""What is asked of a finished MP4, and what was found in it: the words between the service and `inspection`. Pure."""

import msgspec

PICTURE_WIDTH, PICTURE_HEIGHT = 64, 36
"""Of the tiny gray pictures that frames are compared by; ffmpeg_plan makes the other side of the comparison."""


class Look(msgspec.Struct, frozen=True):
    """Decode the `frames` pictures shown from `at` on (seconds from the file's beginning)."""

    at: float
    frames: int


class Inspect(msgspec.Struct, frozen=True):
    """The path is absolute."""

    path: str
    looks: tuple[Look, ...]


class Looked(msgspec.Struct, frozen=True):
    """The picture shown at the look's time (within a millisecond), tiny and gray; and how many of its frames decoded without a fault."""

    picture: bytes | None = None
    decoded: int = 0


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """What libav reads from the file, of its first video and its first audio. Times are seconds from the file's beginning.

    `video`: when each packet is shown, sorted, with those that an edit list hides. `audio`: when sound begins and ends, edits applied.
    `duration`: from the first stream's beginning to the last one's end. `codecs`: of every stream, in order.
    `rotation`: clockwise, in degrees, known only where a look shows a picture. `is_monotonic`: decode times rise strictly in each stream.
    `looks`: one for each asked, if the file can be read. `complaints`: what libav and our own checks object to, cut to 2,000 characters.
    """

    video: tuple[float, ...] = ()
    audio: tuple[float, float] | None = None
    duration: float = 0.0
    has_video: bool = False
    has_audio: bool = False
    codecs: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    rotation: int = 0
    first_is_key: bool = False
    is_monotonic: bool = False
    looks: tuple[Looked, ...] = ()
    complaints: str = ""
