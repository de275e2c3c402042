"""What the samples of an H.265 track are, and the two changes that let copying begin at one (ITU-T H.265 7.4.2.2). Pure."""

from collections.abc import Sequence

from services.clipper.bitstream.hevc_configuration import PARAMETERS, HevcConfiguration
from services.clipper.bitstream.hevc_nal import Kind, is_slice, kind_of, of_kind, sub_layer_of
from services.clipper.bitstream.nal import BrokenBitstream, as_sample, nal_units, without_padding


def picture_kind(sample: bytes | memoryview, length_size: int) -> int:
    """nal_unit_type of the sample's first slice: all slices of a picture share it. Raises BrokenBitstream when there is none."""
    return kind_of(_first_slice(sample, length_size))


def is_random_access(kind: int) -> bool:
    """IRAP: IDR, CRA or BLA."""
    return Kind.BLA_W_LP <= kind <= Kind.LAST_IRAP


def is_idr(kind: int) -> bool:
    return kind in (Kind.IDR_W_RADL, Kind.IDR_N_LP)


def is_broken_link(kind: int) -> bool:
    return Kind.BLA_W_LP <= kind <= Kind.BLA_N_LP


def is_reference(sample: bytes | memoryview, length_size: int, sub_layers: int) -> bool:
    """Whether other pictures may need this one.

    An even kind below 16 is needed by none of its own sub-layer; higher ones may still need it. `sub_layers`: of the sequence.
    """
    unit = _first_slice(sample, length_size)
    kind = kind_of(unit)
    is_needed_beside = kind % 2 == 1 or kind >= Kind.BLA_W_LP
    return is_needed_beside or sub_layer_of(unit) < sub_layers


def carries_parameters(sample: bytes | memoryview, configuration: HevcConfiguration) -> bool:
    """Whether there are parameter sets in it that the configuration does not have exactly so."""
    known = {without_padding(unit) for unit in configuration.parameters}
    units = nal_units(sample, configuration.length_size)
    return any(kind_of(unit) in PARAMETERS and without_padding(unit) not in known for unit in units)


def as_broken_link(sample: bytes | memoryview, length_size: int) -> bytes:
    """A CRA sample as a BLA: what came before it in the file is not what came before it in its stream.

    The leading pictures that follow it must be left out. The slices' headers are the same.
    """
    units = nal_units(sample, length_size)
    return as_sample((of_kind(unit, Kind.BLA_N_LP) if kind_of(unit) == Kind.CRA else unit for unit in units), length_size)


def with_parameters(sample: bytes | memoryview, configuration: HevcConfiguration) -> bytes:
    """The sample with the configuration's parameter sets in band."""
    return with_units(sample, configuration.parameters, configuration.length_size)


def with_units(sample: bytes | memoryview, more: Sequence[bytes], length_size: int) -> bytes:
    """The sample with more NAL units, before all but an access unit delimiter (7.4.2.4.4)."""
    units = list(nal_units(sample, length_size))
    place = 1 if units and kind_of(units[0]) == Kind.ACCESS_UNIT_DELIMITER else 0
    return as_sample((*units[:place], *more, *units[place:]), length_size)


def _first_slice(sample: bytes | memoryview, length_size: int) -> memoryview:
    for unit in nal_units(sample, length_size):
        if is_slice(unit):
            return unit
    raise BrokenBitstream("a sample without a slice")
