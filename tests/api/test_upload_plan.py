"""How files are cut into parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.upload_plan import LARGEST, MIB, ONE_PART, SMALLEST, Part, missing, part_size, parts_of, told

SIZES = st.integers(1, 5 * 1024 * 1024 * MIB)


@given(SIZES, st.booleans())
def test_the_parts_make_up_the_file_and_s3_takes_each(size: int, in_parts: bool) -> None:
    parts = parts_of(size, part_size(size, in_parts=in_parts))
    assert sum(part.size for part in parts) == size
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) <= 10_000
    assert all(SMALLEST <= part.size <= LARGEST for part in parts[:-1])
    assert 0 < parts[-1].size <= LARGEST


@given(st.integers(1, 500 * 1024 * MIB))
def test_there_are_a_hundred_at_most_in_what_anybody_sends(size: int) -> None:
    assert len(parts_of(size, part_size(size, in_parts=True))) <= 100


@given(st.integers(1, ONE_PART))
def test_a_small_file_is_one_part(size: int) -> None:
    assert parts_of(size, part_size(size, in_parts=False)) == (Part(1, size),)


def test_a_file_of_one_byte_more_goes_in_several() -> None:
    assert len(parts_of(ONE_PART + 1, part_size(ONE_PART + 1, in_parts=False))) == 9


@given(st.integers(1, 50 * MIB), st.data())
def test_what_is_missing_and_what_is_there_are_the_whole(size: int, data: st.DataObject) -> None:
    plan = parts_of(size, part_size(size, in_parts=True))
    there = data.draw(st.sets(st.sampled_from(plan)))
    assert set(missing(plan, there)) == set(plan) - there


def test_a_part_of_another_size_is_missing() -> None:
    assert missing(parts_of(10, 4), [Part(1, 4), Part(2, 3), Part(3, 2)]) == (Part(2, 4),)


@pytest.mark.parametrize(("numbers", "words"), [([], ""), ([3], "3"), ([2, 1], "1-2"), ([1, 2, 3, 5, 7, 8], "1-3, 5, 7-8")])
def test_numbers_are_told_in_runs(numbers: list[int], words: str) -> None:
    assert told([Part(number, 1) for number in numbers]) == words
