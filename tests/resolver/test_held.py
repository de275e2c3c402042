"""What source.ready says of the files that a job has."""

from math import inf

from libs.common.domain.values import Section, Segment
from services.resolver.held import Held, is_held, source_ready
from tests.builders import ready

EARLY, LATE = Segment(start=5, end=24), Segment(start=150, end=155)
FIRST = Held(ready(source_key="sources/j/source.mp4", size=10, clock_offset=4.0), 5, 24)
SECOND = Held(ready(source_key="sources/j/source-2.mp4", size=20, clock_offset=148.0), 140, 160)
WHOLE = Held(ready(source_key="sources/j/source-2.mp4", size=90), -inf, inf)


def test_one_file_has_no_sections() -> None:
    assert source_ready([FIRST], [EARLY]) == FIRST.ready


def test_of_two_files_each_part_is_named_with_its_file() -> None:
    said = source_ready([FIRST, SECOND], [EARLY, LATE])
    assert (said.source_key, said.size, said.clock_offset) == ("sources/j/source.mp4", 10, 4.0)
    assert said.sections == (
        Section(start=5, end=24, source_key="sources/j/source.mp4", size=10, clock_offset=4.0),
        Section(start=150, end=155, source_key="sources/j/source-2.mp4", size=20, clock_offset=148.0),
    )


def test_a_file_of_another_container_says_so() -> None:
    other = Held(ready(source_key="sources/j/source-2.ts", container="mpegts"), 140, 160)
    assert [section.container for section in source_ready([FIRST, other], [EARLY, LATE]).sections] == [None, "mpegts"]


def test_a_whole_file_that_came_after_a_section_makes_it_needless() -> None:
    assert source_ready([FIRST, WHOLE], [EARLY, LATE]) == WHOLE.ready


def test_a_part_is_held_only_where_it_is_held_whole() -> None:
    assert is_held([FIRST, SECOND], LATE)
    assert not is_held([FIRST, SECOND], Segment(start=159, end=161))
    assert not is_held([], EARLY)
