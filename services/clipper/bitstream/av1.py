"""Where decoding of AV1 may begin, from its open bitstream units (AV1 Bitstream Specification 5.3, 5.5.1, 5.9.2). Pure."""

from collections.abc import Iterator
from enum import IntEnum

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream

MAX_LEB128_SIZE = 8


class Kind(IntEnum):
    """obu_type, as far as it matters here."""

    SEQUENCE_HEADER = 1
    FRAME_HEADER = 3
    FRAME = 6


def is_random_access(sample: bytes | memoryview) -> bool:
    """Whether a temporal unit has a sequence header and then, as its first frame, a shown keyframe (AV1 in ISOBMFF 2.4).

    Raises BrokenBitstream when there is no frame in it.
    """
    is_still: bool | None = None
    for kind, payload in units(sample):
        if kind == Kind.SEQUENCE_HEADER:
            is_still = _is_reduced_still_picture(payload)
        elif kind in (Kind.FRAME_HEADER, Kind.FRAME):
            return is_still is not None and (is_still or _is_shown_keyframe(payload))
    raise BrokenBitstream("a temporal unit without a frame")


def units(sample: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """obu_type and payload of each; the last may come without a size. Raises BrokenBitstream."""
    view = memoryview(sample)
    while view:
        start = 2 if view[0] & 4 else 1
        size, start = _leb128(view, start) if view[0] & 2 else (len(view) - start, start)
        if size < 0 or start + size > len(view):
            raise BrokenBitstream(f"a unit of {size} bytes where {len(view) - start} are left")
        yield view[0] >> 3 & 15, view[start : start + size]
        view = view[start + size :]


def _leb128(view: memoryview, at: int) -> tuple[int, int]:
    """The number, and where it ends (4.10.5)."""
    value = 0
    for place, byte in enumerate(view[at : at + MAX_LEB128_SIZE]):
        value |= (byte & 127) << 7 * place
        if byte < 128:  # noqa: PLR2004 - the top bit says that more follow
            return value, at + place + 1
    raise BrokenBitstream("a size without an end")


def _is_reduced_still_picture(payload: memoryview) -> bool:
    bits = Bits(bytes(payload[:1]))
    bits.number(4)
    return bits.flag()


def _is_shown_keyframe(payload: memoryview) -> bool:
    """show_existing_frame 0, frame_type 0, show_frame 1."""
    return Bits(bytes(payload[:1])).number(4) == 1
