"""The avcC record of an H.264 track (ISO/IEC 14496-15 5.3.3.1), and one record for two encoders' samples. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.clipper.bitstream.fields import Bytes
from services.clipper.bitstream.h264_parameters import MAX_SEQUENCE_ID, picture_parameters, sequence_parameters
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.picture_format import PictureFormat

WITHOUT_FORMAT = frozenset({66, 77, 88})
"""Values of profile_idc after which the record ends with the picture parameter sets."""
RISING_PROFILES = (66, 77, 100, 110, 122, 244)
"""Baseline, Main, High, High 10, High 4:2:2, High 4:4:4 Predictive: each decodes what encoders make in those before it (annex A)."""
MAX_SEQUENCE_SETS = 31
MAX_PICTURE_SETS = 255
MAX_EXTENSIONS = 255


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """The end of the record that profiles from High on have; older writers left it out."""

    chroma_format: int
    luma_depth: int
    chroma_depth: int
    extensions: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AvcConfiguration:
    """`length_size` is the bytes in front of each NAL unit of a sample; `sequences` and `pictures` are NAL units of type 7 and 8."""

    profile: int
    compatibility: int
    level: int
    length_size: int
    sequences: tuple[bytes, ...]
    pictures: tuple[bytes, ...]
    format: SampleFormat | None

    @classmethod
    def from_bytes(cls, record: bytes) -> "AvcConfiguration":
        """From the content of an avcC box. Raises BrokenBitstream."""
        fields = Bytes(record)
        version, profile, compatibility, level = fields.take(4)
        if version != 1:
            raise BrokenBitstream(f"an avcC record of version {version}")
        length_size = 1 + fields.number() % 4
        sequences = _units(fields, fields.number() % 32)
        pictures = _units(fields, fields.number())
        has_format = profile not in WITHOUT_FORMAT and fields.left >= 4  # noqa: PLR2004 - its size
        return cls(profile, compatibility, level, length_size, sequences, pictures, _format(fields) if has_format else None)

    def to_bytes(self) -> bytes:
        return b"".join(
            (
                bytes((1, self.profile, self.compatibility, self.level, 0xFC | self.length_size - 1)),
                _counted(self.sequences, 0xE0),
                _counted(self.pictures),
                _format_bytes(self.format) if self.format else b"",
            )
        )

    def pictured(self) -> PictureFormat:
        """What all its pictures look like. Raises BrokenBitstream when its sequence parameter sets don't agree, or when there are none."""
        formats = {sequence_parameters(unit).picture for unit in self.sequences}
        if len(formats) != 1:
            raise BrokenBitstream(f"{len(formats)} picture formats in one record")
        return formats.pop()


def free_parameter_ids(configuration: AvcConfiguration) -> list[int]:
    """Those that are no sequence's and no picture's: an encoder that is told one uses it for both."""
    used = _sequence_ids(configuration.sequences).keys() | _picture_ids(configuration.pictures).keys()
    return [free for free in range(MAX_SEQUENCE_ID + 1) if free not in used]


def merged(source: AvcConfiguration, other: AvcConfiguration) -> AvcConfiguration:
    """One record for the samples of both. Raises BrokenBitstream when the same id means two things, or when their pictures differ."""
    if source.length_size != other.length_size:
        raise BrokenBitstream(f"lengths of {source.length_size} and of {other.length_size} bytes")
    if _decoded(source) != _decoded(other):
        raise BrokenBitstream(f"{source.pictured()} is not {other.pictured()}")
    sequences = _united(_sequence_ids(source.sequences), _sequence_ids(other.sequences), MAX_SEQUENCE_SETS)
    pictures = _united(_picture_ids(source.pictures), _picture_ids(other.pictures), MAX_PICTURE_SETS)
    profile = _profile_for(source.profile, other.profile)
    return AvcConfiguration(
        profile=profile,
        compatibility=source.compatibility & other.compatibility,
        level=max(source.level, other.level),
        length_size=source.length_size,
        sequences=sequences,
        pictures=pictures,
        format=None if profile in WITHOUT_FORMAT else _merged_format(source, other),
    )


def _units(fields: Bytes, count: int) -> tuple[bytes, ...]:
    return tuple(fields.take(fields.number(2)) for _ in range(count))


def _format(fields: Bytes) -> SampleFormat:
    chroma_format, luma_depth, chroma_depth = fields.number() % 4, 8 + fields.number() % 8, 8 + fields.number() % 8
    return SampleFormat(chroma_format, luma_depth, chroma_depth, _units(fields, fields.number()))


def _format_bytes(form: SampleFormat) -> bytes:
    head = bytes((0xFC | form.chroma_format, 0xF8 | form.luma_depth - 8, 0xF8 | form.chroma_depth - 8))
    return head + _counted(form.extensions)


def _counted(units: tuple[bytes, ...], reserved: int = 0) -> bytes:
    return bytes((reserved | len(units),)) + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def _decoded(configuration: AvcConfiguration) -> tuple[str | None, PictureFormat]:
    """What must agree: colours may be told by one and left out by the other, but the range may not differ."""
    picture = configuration.pictured()
    return picture.pixel_format, replace(picture, colour=replace(picture.colour, primaries=0, transfer=0, matrix=0))


def _sequence_ids(units: Iterable[bytes]) -> dict[int, bytes]:
    return {sequence_parameters(unit).id: unit for unit in units}


def _picture_ids(units: Iterable[bytes]) -> dict[int, bytes]:
    return {picture_parameters(unit).id: unit for unit in units}


def _united(source: dict[int, bytes], other: dict[int, bytes], most: int) -> tuple[bytes, ...]:
    clash = next((known for known in source.keys() & other.keys() if source[known] != other[known]), None)
    if clash is not None:
        raise BrokenBitstream(f"two parameter sets of id {clash}")
    united = source | other
    if len(united) > most:
        raise BrokenBitstream(f"{len(united)} parameter sets")
    return tuple(united.values())


def _profile_for(source: int, other: int) -> int:
    if source == other:
        return source
    if source not in RISING_PROFILES or other not in RISING_PROFILES:
        raise BrokenBitstream(f"no profile is known to decode both {source} and {other}")
    return max(source, other, key=RISING_PROFILES.index)


def _merged_format(source: AvcConfiguration, other: AvcConfiguration) -> SampleFormat:
    picture = source.pictured()
    extensions = dict.fromkeys(unit for known in (source.format, other.format) if known for unit in known.extensions)
    if len(extensions) > MAX_EXTENSIONS:
        raise BrokenBitstream(f"{len(extensions)} extensions of parameter sets")
    return SampleFormat(picture.chroma_format, picture.luma_depth, picture.chroma_depth, tuple(extensions))
