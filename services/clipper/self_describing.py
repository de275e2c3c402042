"""VP9 and AV1 tracks for the splicer: every keyframe says all that a decoder needs, so a seam needs nothing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.clipper.bitstream import av1, vp9
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.mp4.sample_entry import configuration, fourcc, with_configuration

RECORDS = {b"vp09": b"vpcC", b"av01": b"av1C"}
ENCODERS: dict[bytes, dict[str, Any]] = {
    b"vp09": {"c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": "6", "crf": "24", "b:v": "0", "lag-in-frames": "0"},
    b"av01": {"c:v": "libsvtav1", "preset": "10", "crf": "28"},
}
PLAYED = frozenset({"yuv420p", "yuv420p10le"})


@dataclass(frozen=True, slots=True)
class SelfDescribing:
    """`kind`: vp09 or av01."""

    kind: bytes
    pixel_format: str | None
    is_interlaced: bool = False

    def access(self, sample: bytes) -> RandomAccess:
        is_clean = vp9.is_keyframe(sample) if self.kind == b"vp09" else av1.is_random_access(sample)
        return RandomAccess.CLEAN if is_clean else RandomAccess.NONE

    def is_reference(self, sample: bytes) -> bool:  # noqa: ARG002  nearly all are
        return True

    def encoder(self, part: int) -> dict[str, Any]:  # noqa: ARG002  parts don't differ
        return ENCODERS[self.kind]

    def entries(self, source: bytes, encoded: Sequence[bytes], *, with_source: bool) -> tuple[bytes, ...]:
        """The source's for all; of a clip without copied samples, the encoder's."""
        if with_source or not encoded:
            return (source,)
        return (with_configuration(source, RECORDS[self.kind], _record(encoded[0])),)

    def description(self, part: int | None) -> int:  # noqa: ARG002  one entry for all
        return 1

    def keyframe(self, sample: bytes, *, encoded: bytes | None, is_first: bool) -> bytes | None:  # noqa: ARG002  nothing is to be changed
        return None


def self_describing(entry: bytes) -> SelfDescribing:
    """Raises BrokenBitstream for what is neither 8 nor 10 bit in 4:2:0, or another codec."""
    record = _record(entry)
    depth, is_halved = _vp9_format(record) if fourcc(entry) == b"vp09" else _av1_format(record)
    return SelfDescribing(fourcc(entry), {8: "yuv420p", 10: "yuv420p10le"}.get(depth) if is_halved else None)


def _vp9_format(record: bytes) -> tuple[int, bool]:
    """Depth, and whether chroma is halved both ways (VP Codec ISO Media File Format Binding, vpcC)."""
    return record[6] >> 4, record[6] >> 1 & 7 < 2  # noqa: PLR2004  0 and 1 are 4:2:0, with chroma in two places


def _av1_format(record: bytes) -> tuple[int, bool]:
    """The same (AV1 Codec ISO Media File Format Binding 2.3.3)."""
    is_deep, is_twelve, is_mono, across, down = (bool(record[2] >> bit & 1) for bit in (6, 5, 4, 3, 2))
    return (12 if is_twelve else 10) if is_deep else 8, across and down and not is_mono


def _record(entry: bytes) -> bytes:
    """Long enough for the fields that are read of it."""
    kind = RECORDS.get(fourcc(entry))
    found = configuration(entry, kind) if kind else None
    if found is None or len(found) < (8 if kind == b"vpcC" else 4):
        raise BrokenBitstream("a sample entry without its configuration")
    return found
