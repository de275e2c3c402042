"""The hvcC record of an H.265 track (ISO/IEC 14496-15 8.3.3.1). Pure."""

from dataclasses import dataclass

from services.clipper.bitstream import hevc_parameters
from services.clipper.bitstream.fields import Bytes
from services.clipper.bitstream.hevc_nal import Kind, kind_of, layer_of
from services.clipper.bitstream.nal import BrokenBitstream
from services.clipper.bitstream.picture_format import PictureFormat

GENERAL_SIZE = 22
PARAMETERS = (Kind.VIDEO_PARAMETERS, Kind.SEQUENCE_PARAMETERS, Kind.PICTURE_PARAMETERS)


@dataclass(frozen=True, slots=True)
class UnitArray:
    """NAL units of one kind. `header` holds the kind and whether all of the track's are here."""

    header: int
    units: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HevcConfiguration:
    """`general` is the record's beginning as it came: profile, level, depths. Nothing of it has to change for a cut."""

    general: bytes
    arrays: tuple[UnitArray, ...]

    @classmethod
    def from_bytes(cls, record: bytes) -> "HevcConfiguration":
        """From the content of an hvcC box. Raises BrokenBitstream."""
        fields = Bytes(record)
        general = fields.take(GENERAL_SIZE)
        if general[0] > 1:  # early writers left 0
            raise BrokenBitstream(f"an hvcC record of version {general[0]}")
        return cls(general, tuple(_array(fields) for _ in range(fields.number())))

    def to_bytes(self) -> bytes:
        return self.general + bytes((len(self.arrays),)) + b"".join(_array_bytes(array) for array in self.arrays)

    @property
    def length_size(self) -> int:
        return 1 + self.general[21] % 4

    @property
    def parameters(self) -> tuple[bytes, ...]:
        """The NAL units of the video, the sequence and the picture parameter sets, in the order in which they refer to each other."""
        units = [unit for array in self.arrays for unit in array.units if unit and kind_of(unit) in PARAMETERS]
        return tuple(sorted(units, key=kind_of))

    def sequence(self) -> hevc_parameters.SequenceParameters:
        """Of the base layer. Raises BrokenBitstream when it is not exactly one."""
        units = {unit for unit in self.parameters if kind_of(unit) == Kind.SEQUENCE_PARAMETERS and layer_of(unit) == 0}
        if len(units) != 1:
            raise BrokenBitstream(f"{len(units)} sequence parameter sets")
        return hevc_parameters.sequence_parameters(units.pop())

    def pictured(self) -> PictureFormat:
        """What all its pictures look like. Raises BrokenBitstream."""
        return self.sequence().picture


def _array(fields: Bytes) -> UnitArray:
    header = fields.number()
    return UnitArray(header, tuple(fields.take(fields.number(2)) for _ in range(fields.number(2))))


def _array_bytes(array: UnitArray) -> bytes:
    counted = bytes((array.header,)) + len(array.units).to_bytes(2)
    return counted + b"".join(len(unit).to_bytes(2) + unit for unit in array.units)
