"""The sequence parameter set of H.265, from its beginning to its colours (ITU-T H.265 7.3.2.2 and 7.3.3 to 7.3.7). Pure."""

from dataclasses import dataclass

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.picture_format import CHROMA_444, Colour, PictureFormat, cropped, read_colour

MAX_SEQUENCE_ID = 15
MAX_SIDE = 65_535
MAX_PICTURE_SETS = 64
MAX_LONG_TERM = 32
MAX_BUFFERED = 16
PROFILE_BITS = 88
LEVEL_BITS = 8


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """`max_reordered`: pictures that may be decoded before one that is shown earlier, with all `sub_layers` decoded."""

    id: int
    sub_layers: int
    picture: PictureFormat
    max_reordered: int


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """From a NAL unit of type 33 of layer 0. Raises BrokenBitstream."""
    bits = Bits.of_nal_unit(unit, 2)
    bits.number(4)
    sub_layers = 1 + bits.number(3)
    bits.flag()
    _skip_profile_and_level(bits, sub_layers)
    sequence_id = bits.exp_golomb(MAX_SEQUENCE_ID)
    chroma_format = bits.exp_golomb(CHROMA_444)
    is_in_planes = chroma_format == CHROMA_444 and bits.flag()
    width, height = _size(bits, 0 if is_in_planes else chroma_format)
    luma_depth, chroma_depth = 8 + bits.exp_golomb(8), 8 + bits.exp_golomb(8)
    order_bits = 4 + bits.exp_golomb(12)
    max_reordered = _max_reordered(bits, sub_layers)
    _skip_coding_tools(bits)
    _skip_reference_sets(bits, order_bits)
    bits.number(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    colour = read_colour(bits) if bits.flag() else Colour()
    picture = PictureFormat(width, height, chroma_format, luma_depth, chroma_depth, colour)
    return SequenceParameters(sequence_id, sub_layers, picture, max_reordered)


def _skip_profile_and_level(bits: Bits, sub_layers: int) -> None:
    bits.number(PROFILE_BITS + LEVEL_BITS)
    told = [(bits.flag(), bits.flag()) for _ in range(sub_layers - 1)]
    if told:
        bits.number(2 * (8 - len(told)))
    for has_profile, has_level in told:
        bits.number(PROFILE_BITS * has_profile + LEVEL_BITS * has_level)


def _size(bits: Bits, chroma_format: int) -> tuple[int, int]:
    coded = bits.exp_golomb(MAX_SIDE), bits.exp_golomb(MAX_SIDE)
    offsets = (bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb()) if bits.flag() else (0, 0, 0, 0)
    return cropped(coded, offsets, chroma_format)


def _max_reordered(bits: Bits, sub_layers: int) -> int:
    """For all sub-layers: told for each, or for all at once."""
    reordered = 0
    for _ in range(sub_layers if bits.flag() else 1):
        bits.exp_golomb(MAX_BUFFERED)
        reordered = bits.exp_golomb(MAX_BUFFERED)
        bits.exp_golomb()
    return reordered


def _skip_coding_tools(bits: Bits) -> None:
    """From log2_min_luma_coding_block_size_minus3 to the PCM parameters."""
    bits.skip_exp_golomb(6)
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.number(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag():  # pcm_enabled_flag
        bits.number(8)
        bits.skip_exp_golomb(2)
        bits.flag()


def _skip_scaling_lists(bits: Bits) -> None:
    for size, lists in ((0, 6), (1, 6), (2, 6), (3, 2)):
        for _ in range(lists):
            if not bits.flag():  # copied from another list
                bits.exp_golomb()
            else:
                bits.skip_exp_golomb(min(64, 16 << 2 * size) + (size > 1))


def _skip_reference_sets(bits: Bits, order_bits: int) -> None:
    known: list[list[int]] = []
    for number in range(bits.exp_golomb(MAX_PICTURE_SETS)):
        known.append(_predicted_set(bits, known[-1]) if number and bits.flag() else _listed_set(bits))
    if bits.flag():  # long_term_ref_pics_present_flag
        bits.number((order_bits + 1) * bits.exp_golomb(MAX_LONG_TERM))


def _listed_set(bits: Bits) -> list[int]:
    """Distances in picture order count: those before, nearest first, then those after."""
    before, after = bits.exp_golomb(MAX_BUFFERED), bits.exp_golomb(MAX_BUFFERED)
    return [*_distances(bits, before, -1), *_distances(bits, after, 1)]


def _distances(bits: Bits, count: int, sign: int) -> list[int]:
    found, at = [], 0
    for _ in range(count):
        at += sign * (1 + bits.exp_golomb(1 << 15))
        bits.flag()
        found.append(at)
    return found


def _predicted_set(bits: Bits, reference: list[int]) -> list[int]:
    """The set before, moved (7.4.8, equations 7-61 and 7-62): what counts here is how many are left of it."""
    is_back = bits.flag()
    move = (1 + bits.exp_golomb(1 << 15)) * (-1 if is_back else 1)
    moved = [distance + move for distance in (*reference, 0) if bits.flag() or bits.flag()]
    if len(moved) > 2 * MAX_BUFFERED:
        raise BrokenBitstream("a reference picture set without an end")
    return sorted((d for d in moved if d < 0), reverse=True) + sorted(d for d in moved if d > 0)
