"""Where decoding of a track may begin, whatever its codec: what the cutting plan needs of a keyframe. Pure."""

from enum import StrEnum
from typing import Literal

from services.clipper.bitstream import h264, hevc


class RandomAccess(StrEnum):
    """CLEAN: it and all that follows need nothing from before it. OPEN: what follows but is shown before it may need some."""

    CLEAN = "clean"
    OPEN = "open"
    NONE = "none"


def random_access(sample: bytes | memoryview, codec: Literal["h264", "hevc"], length_size: int) -> RandomAccess:
    """By its slices, not by the container's word. An I picture of H.264 with a recovery point is NONE: its slices can't stand first.

    Raises BrokenBitstream.
    """
    if codec == "h264":
        return RandomAccess.CLEAN if h264.is_idr(sample, length_size) else RandomAccess.NONE
    kind = hevc.picture_kind(sample, length_size)
    if hevc.is_idr(kind) or hevc.is_broken_link(kind):
        return RandomAccess.CLEAN
    return RandomAccess.OPEN if hevc.is_random_access(kind) else RandomAccess.NONE
