"""The header of an H.265 NAL unit: kind, layer, sub-layer (ITU-T H.265 7.3.1.2 and table 7-1). Pure."""

from enum import IntEnum

from services.clipper.bitstream.nal import BrokenBitstream

HEADER_SIZE = 2


class Kind(IntEnum):
    """nal_unit_type, as far as it matters here."""

    RADL_N = 6
    RADL_R = 7
    RASL_N = 8
    RASL_R = 9
    BLA_W_LP = 16
    BLA_W_RADL = 17
    BLA_N_LP = 18
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    LAST_IRAP = 23
    VIDEO_PARAMETERS = 32
    SEQUENCE_PARAMETERS = 33
    PICTURE_PARAMETERS = 34
    ACCESS_UNIT_DELIMITER = 35
    PREFIX_INFORMATION = 39


def kind_of(unit: bytes | memoryview) -> int:
    return unit[0] >> 1 & 63


def layer_of(unit: bytes | memoryview) -> int:
    """0 is the base layer, which every decoder decodes. Raises BrokenBitstream when the header is cut off."""
    if len(unit) < HEADER_SIZE:
        raise BrokenBitstream("a NAL unit without a whole header")
    return (unit[0] & 1) << 5 | unit[1] >> 3


def sub_layer_of(unit: bytes | memoryview) -> int:
    """From 1 on: nuh_temporal_id_plus1."""
    return unit[1] & 7


def is_slice(unit: bytes | memoryview) -> bool:
    """Of the base layer's picture."""
    return kind_of(unit) < Kind.VIDEO_PARAMETERS and layer_of(unit) == 0


def of_kind(unit: bytes | memoryview, kind: Kind) -> bytes:
    """The same unit under another nal_unit_type."""
    return bytes((unit[0] & 0x81 | kind << 1,)) + unit[1:]
