"""The messages that tell the static HDR metadata of an H.265 stream (ITU-T H.265 7.3.5, D.2.28, D.2.35). Pure."""

import re
from collections.abc import Iterable, Iterator

from services.clipper.bitstream.fields import Bytes
from services.clipper.bitstream.hevc_nal import HEADER_SIZE, Kind, kind_of
from services.clipper.bitstream.nal import BrokenBitstream, without_padding

SIZES = {137: 24, 144: 4}
"""Bytes of the payload types that count: mastering display colour volume, content light level information."""
HEADER = bytes((Kind.PREFIX_INFORMATION << 1, 1))
TRAILING = b"\x80"
LONGER = 0xFF


def static_metadata(units: Iterable[bytes | memoryview]) -> dict[int, bytes]:
    """By payload type, a NAL unit with just that message; the last that is found of each. Messages that are broken are passed over."""
    found: dict[int, bytes] = {}
    for unit in units:
        if kind_of(unit) == Kind.PREFIX_INFORMATION:
            found |= {kind: _unit(kind, payload) for kind, payload in _messages(unit) if SIZES.get(kind) == len(payload)}
    return found


def _messages(unit: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    """Payload type and payload of each, up to the first that is cut off."""
    fields = Bytes(without_padding(unit)[HEADER_SIZE:].replace(b"\0\0\3", b"\0\0"))
    try:
        while fields.left > len(TRAILING):
            kind, size = _number(fields), _number(fields)
            yield kind, fields.take(size)
    except BrokenBitstream:
        return


def _number(fields: Bytes) -> int:
    """Bytes of 255 for as long as more follows."""
    total = byte = fields.number()
    while byte == LONGER:
        byte = fields.number()
        total += byte
    return total


def _unit(kind: int, payload: bytes) -> bytes:
    """With emulation prevention bytes (7.4.2)."""
    return HEADER + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", bytes((kind, len(payload))) + payload + TRAILING)
