"""NAL units as MP4 stores them, each behind its length (ISO/IEC 14496-15 4.3.3.2 and 5.3.4.2). Pure."""

from collections.abc import Iterable, Iterator


class BrokenBitstream(ValueError):
    """A coded sample or a parameter set is not what its standard says."""


def nal_units(sample: bytes | memoryview, length_size: int) -> Iterator[memoryview]:
    """The NAL units of one sample, without copying. Raises BrokenBitstream at a length that is zero or leads outside the sample."""
    view = memoryview(sample)
    at = 0
    while at < len(view):
        start = at + length_size
        at = start + int.from_bytes(view[at:start])
        if not start < at <= len(view):
            raise BrokenBitstream(f"a NAL unit from byte {start} to {at} in a sample of {len(view)}")
        yield view[start:at]


def as_sample(units: Iterable[bytes | memoryview], length_size: int) -> bytes:
    """The opposite of `nal_units`. Raises BrokenBitstream when a unit is too long for `length_size` bytes."""
    return b"".join(part for unit in units for part in (_length(unit, length_size), unit))


def _length(unit: bytes | memoryview, length_size: int) -> bytes:
    try:
        return len(unit).to_bytes(length_size)
    except OverflowError:
        raise BrokenBitstream(f"a NAL unit of {len(unit)} bytes behind a length of {length_size}") from None


def without_padding(unit: bytes | memoryview) -> bytes:
    """A NAL unit never ends in zeros: those are left over from Annex B."""
    return bytes(unit).rstrip(b"\0")
