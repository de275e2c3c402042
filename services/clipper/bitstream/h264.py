"""What the samples of an H.264 track are, from the headers of their NAL units (ITU-T H.264 7.3.1 and table 7-1). Pure."""

from enum import IntEnum

from services.clipper.bitstream.h264_configuration import AvcConfiguration
from services.clipper.bitstream.nal import BrokenBitstream, nal_units, without_padding


class Kind(IntEnum):
    """nal_unit_type, as far as it matters here."""

    SLICE = 1
    PARTITION_A = 2
    PARTITION_B = 3
    PARTITION_C = 4
    IDR_SLICE = 5
    SEQUENCE_PARAMETERS = 7
    PICTURE_PARAMETERS = 8


def is_idr(sample: bytes | memoryview, length_size: int) -> bool:
    """By the first slice: of an IDR picture in two fields only the first is one. Raises BrokenBitstream when there is no slice."""
    for unit in nal_units(sample, length_size):
        if _is_slice(unit[0]):
            return unit[0] & 31 == Kind.IDR_SLICE
    raise BrokenBitstream("a sample without a slice")


def is_reference(sample: bytes | memoryview, length_size: int) -> bool:
    """Whether other pictures may need this one: the nal_ref_idc of any of its slices."""
    return any(unit[0] & 0x60 for unit in nal_units(sample, length_size) if _is_slice(unit[0]))


def carries_parameters(sample: bytes | memoryview, configuration: AvcConfiguration) -> bool:
    """Whether there are parameter sets in it that the configuration does not have exactly so."""
    known = {without_padding(unit) for unit in (*configuration.sequences, *configuration.pictures)}
    return any(
        unit[0] & 31 in (Kind.SEQUENCE_PARAMETERS, Kind.PICTURE_PARAMETERS) and without_padding(unit) not in known
        for unit in nal_units(sample, configuration.length_size)
    )


def _is_slice(header: int) -> bool:
    return Kind.SLICE <= header & 31 <= Kind.IDR_SLICE
