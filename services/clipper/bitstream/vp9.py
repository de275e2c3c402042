"""What a frame of VP9 is, from its uncompressed header (VP9 Bitstream Specification 6.2). Pure."""

from dataclasses import dataclass

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream

FRAME_MARKER = 2
SYNC_CODE = 0x498342
DEEP_PROFILE = 2


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """`depth`, in bits, is told in keyframes only."""

    profile: int
    is_key: bool
    depth: int | None


def frame_header(frame: bytes | memoryview) -> FrameHeader:
    """Of a frame, or of the first frame of a superframe. Raises BrokenBitstream."""
    bits = Bits(bytes(frame[:16]))
    if bits.number(2) != FRAME_MARKER:
        raise BrokenBitstream("no VP9 frame")
    profile = bits.number(1) | bits.number(1) << 1
    if profile > DEEP_PROFILE:
        bits.flag()
    shows_an_earlier_one = bits.flag()
    if shows_an_earlier_one or bits.flag():
        return FrameHeader(profile, is_key=False, depth=None)
    bits.number(2)  # show_frame, error_resilient_mode
    if bits.number(24) != SYNC_CODE:
        raise BrokenBitstream("a VP9 keyframe without its sync code")
    depth = 8 if profile < DEEP_PROFILE else 10 + 2 * bits.number(1)
    return FrameHeader(profile, is_key=True, depth=depth)


def is_keyframe(frame: bytes | memoryview) -> bool:
    """Raises BrokenBitstream."""
    return frame_header(frame).is_key
