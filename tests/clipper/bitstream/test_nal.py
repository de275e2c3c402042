import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.bitstream.fields import Bits
from services.clipper.bitstream.nal import BrokenBitstream, as_sample, nal_units

UNITS = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


@settings(deadline=None)
@given(UNITS, st.sampled_from([1, 2, 4]))
def test_units_come_out_as_they_went_in(units: list[bytes], length_size: int) -> None:
    assert [bytes(unit) for unit in nal_units(as_sample(units, length_size), length_size)] == units


@settings(deadline=None)
@given(UNITS.filter(bool), st.sampled_from([1, 2, 4]), st.data())
def test_a_sample_that_is_cut_off_within_a_unit_is_broken(units: list[bytes], length_size: int, data: st.DataObject) -> None:
    whole = as_sample(units, length_size)
    last = length_size + len(units[-1])
    with pytest.raises(BrokenBitstream):
        list(nal_units(whole[: -data.draw(st.integers(1, last - 1))], length_size))


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(1, 4))
def test_units_of_any_bytes_are_never_empty_and_never_overlap(sample: bytes, length_size: int) -> None:
    try:
        units = list(nal_units(sample, length_size))
    except BrokenBitstream:
        return
    assert all(units)
    assert sum(length_size + len(unit) for unit in units) == len(sample)


def test_a_unit_of_no_bytes_is_broken() -> None:
    with pytest.raises(BrokenBitstream):
        list(nal_units(bytes(4), 4))


def test_a_unit_too_long_for_its_length_is_broken() -> None:
    with pytest.raises(BrokenBitstream):
        as_sample([bytes(256)], 1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 20), max_size=20))
def test_exp_golomb_codes_are_read_back(values: list[int]) -> None:
    coded = "".join(f"{value + 1:b}".zfill(2 * (value + 1).bit_length() - 1) for value in values)
    size = -(-len(coded) // 8)
    bits = Bits(int(coded.ljust(8 * size, "0") or "0", 2).to_bytes(size))
    assert [bits.exp_golomb() for _ in values] == values


def test_signed_codes_alternate_around_zero() -> None:
    bits = Bits(bytes([0b10100110, 0b01000010, 0b10000000]))
    assert [bits.signed_exp_golomb() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_emulation_prevention_is_taken_out() -> None:
    assert Bits.of_nal_unit(bytes([0x67, 0, 0, 3, 1, 0, 0, 3, 0]), 1).number(48) == 0x0000_0100_0000


def test_an_exp_golomb_code_of_zeros_ends_in_an_error() -> None:
    with pytest.raises(BrokenBitstream):
        Bits(bytes(100)).exp_golomb()
