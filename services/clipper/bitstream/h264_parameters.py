"""Parameter sets of H.264: what they say of pictures and their order (ITU-T H.264 7.3.2.1, 7.3.2.2, annex E). Pure."""

from dataclasses import dataclass

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.picture_format import CHROMA_444, Colour, PictureFormat, cropped, read_colour

MAX_SEQUENCE_ID = 31
MAX_PICTURE_ID = 255
MAX_SIDE_IN_MACROBLOCKS = 4096
WITH_CHROMA_FORMAT = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Values of profile_idc whose sequence parameter sets tell the chroma format and the depths."""


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """`level` is ten times its number. `max_reordered`: frames that may be decoded before one that is shown earlier; None: not told."""

    id: int
    profile: int
    level: int
    picture: PictureFormat
    frames_only: bool
    max_reordered: int | None


@dataclass(frozen=True, slots=True)
class PictureParameters:
    """The ids of a picture parameter set and of the sequence parameter set that it refers to."""

    id: int
    sequence_id: int


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """From a NAL unit of type 7. Raises BrokenBitstream."""
    bits = Bits.of_nal_unit(unit, 1)
    profile, _, level = bits.number(8), bits.number(8), bits.number(8)
    sequence_id = bits.exp_golomb(MAX_SEQUENCE_ID)
    chroma_format, is_in_planes, luma_depth, chroma_depth = _samples(bits) if profile in WITH_CHROMA_FORMAT else (1, False, 8, 8)
    _skip_order_count(bits)
    width, height, frames_only = _size(bits, 0 if is_in_planes else chroma_format)
    colour, max_reordered = _usability(bits) if bits.flag() else (Colour(), None)
    picture = PictureFormat(width, height, chroma_format, luma_depth, chroma_depth, colour)
    return SequenceParameters(sequence_id, profile, level, picture, frames_only, max_reordered)


def picture_parameters(unit: bytes) -> PictureParameters:
    """From a NAL unit of type 8. Raises BrokenBitstream."""
    bits = Bits.of_nal_unit(unit, 1)
    return PictureParameters(bits.exp_golomb(MAX_PICTURE_ID), bits.exp_golomb(MAX_SEQUENCE_ID))


def _samples(bits: Bits) -> tuple[int, bool, int, int]:
    chroma_format = bits.exp_golomb(CHROMA_444)
    is_in_planes = chroma_format == CHROMA_444 and bits.flag()
    luma_depth, chroma_depth = 8 + bits.exp_golomb(6), 8 + bits.exp_golomb(6)
    bits.flag()  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for size in [16] * 6 + [64] * (6 if chroma_format == CHROMA_444 else 2):
            if bits.flag():
                _skip_scaling_list(bits, size)
    return chroma_format, is_in_planes, luma_depth, chroma_depth


def _skip_scaling_list(bits: Bits, size: int) -> None:
    """Deltas follow for as long as none has led to zero (7.3.2.1.1.1)."""
    scale = 8
    for _ in range(size):
        scale = (scale + bits.signed_exp_golomb()) % 256
        if scale == 0:
            return


def _skip_order_count(bits: Bits) -> None:
    """From log2_max_frame_num_minus4 to gaps_in_frame_num_value_allowed_flag."""
    bits.exp_golomb(12)
    match bits.exp_golomb(2):
        case 0:
            bits.exp_golomb(12)
        case 1:
            bits.flag()
            bits.skip_exp_golomb(2)
            bits.skip_exp_golomb(bits.exp_golomb(255))
    bits.exp_golomb(16)
    bits.flag()


def _size(bits: Bits, chroma_format: int) -> tuple[int, int, bool]:
    across, down = 1 + bits.exp_golomb(MAX_SIDE_IN_MACROBLOCKS), 1 + bits.exp_golomb(MAX_SIDE_IN_MACROBLOCKS)
    frames_only = bits.flag()
    field_rows = 1 if frames_only else 2
    if not frames_only:
        bits.flag()  # mb_adaptive_frame_field_flag
    bits.flag()  # direct_8x8_inference_flag
    coded = (16 * across, 16 * down * field_rows)
    offsets = (bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb(), bits.exp_golomb()) if bits.flag() else (0, 0, 0, 0)
    return *cropped(coded, offsets, chroma_format, field_rows), frames_only


def _usability(bits: Bits) -> tuple[Colour, int | None]:
    colour = read_colour(bits)
    if bits.flag():  # chroma_loc_info_present_flag
        bits.skip_exp_golomb(2)
    if bits.flag():  # timing_info_present_flag
        bits.number(65)
    if _skip_reference_decoder(bits) | _skip_reference_decoder(bits):
        bits.flag()  # low_delay_hrd_flag
    bits.flag()  # pic_struct_present_flag
    if not bits.flag():  # bitstream_restriction_flag
        return colour, None
    bits.flag()
    bits.skip_exp_golomb(4)
    max_reordered, max_buffered = bits.exp_golomb(16), bits.exp_golomb(16)
    if max_reordered > max_buffered:
        raise BrokenBitstream(f"{max_reordered} frames out of order in a buffer of {max_buffered}")
    return colour, max_reordered


def _skip_reference_decoder(bits: Bits) -> bool:
    """Whether there were parameters of a hypothetical reference decoder (E.1.2)."""
    if not bits.flag():
        return False
    schedules = 1 + bits.exp_golomb(31)
    bits.number(8)
    for _ in range(schedules):
        bits.skip_exp_golomb(2)
        bits.flag()
    bits.number(20)
    return True
