"""What a decoded picture looks like, in terms that H.264 and H.265 share: sampling, depth, size, colour. Pure."""

from dataclasses import dataclass

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream

EXTENDED_SAR = 255
UNSPECIFIED = 2
IDENTITY_MATRIX = 0
CHROMA_444 = 3
_SAMPLING = ("gray", "yuv420p", "yuv422p", "yuv444p")
_SUBSAMPLING = ((1, 1), (2, 2), (2, 1), (1, 1))
"""Luma samples for one of chroma, across and down, by chroma_format_idc (ITU-T H.264 table 6-1)."""


@dataclass(frozen=True, slots=True)
class Colour:
    """The code points of ITU-T H.273; 2 is unspecified."""

    is_full_range: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """`width` and `height` in luma samples, cropped. `chroma_format`: 0 gray, 1 4:2:0, 2 4:2:2, 3 4:4:4. Depths in bits."""

    width: int
    height: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    colour: Colour = Colour()

    @property
    def pixel_format(self) -> str | None:
        """The name that ffmpeg has for it; None when luma and chroma are of different depths, which it does not decode.

        Its H.264 decoder fills gray up to 4:2:0; a container may say that the range is full where the bitstream does not.
        """
        if self.chroma_format and self.luma_depth != self.chroma_depth:
            return None
        name = _SAMPLING[self.chroma_format]
        if self.chroma_format == CHROMA_444 and self.colour.matrix == IDENTITY_MATRIX:
            name = "gbrp"
        if self.luma_depth > 8:  # noqa: PLR2004 - a byte
            return f"{name}{self.luma_depth}le"
        return name.replace("yuv", "yuvj") if self.colour.is_full_range else name


def cropped(coded: tuple[int, int], offsets: tuple[int, int, int, int], chroma_format: int, field_rows: int = 1) -> tuple[int, int]:
    """Width and height within the cropping rectangle. `offsets`: left, right, top, bottom, in chroma samples (ITU-T H.264 7.4.2.1.1)."""
    across, down = _SUBSAMPLING[chroma_format]
    left, right, top, bottom = offsets
    width = coded[0] - across * (left + right)
    height = coded[1] - down * field_rows * (top + bottom)
    if width <= 0 or height <= 0:
        raise BrokenBitstream(f"a picture of {width} x {height}")
    return width, height


def read_colour(bits: Bits) -> Colour:
    """The VUI from its beginning to its colours, alike in both standards (ITU-T H.264 E.1.1, H.265 E.2.1)."""
    if bits.flag() and bits.number(8) == EXTENDED_SAR:
        bits.number(32)
    if bits.flag():  # overscan_info_present_flag
        bits.flag()
    if not bits.flag():  # video_signal_type_present_flag
        return Colour()
    bits.number(3)
    is_full_range = bits.flag()
    if not bits.flag():
        return Colour(is_full_range)
    return Colour(is_full_range, bits.number(8), bits.number(8), bits.number(8))
