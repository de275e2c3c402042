"""Which parts of a source are fetched: every segment lies whole in one of them, and a long way between two is not fetched along."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.fetching import NEAR, parts_to_fetch, shared_part
from libs.common.domain.values import Segment


def segment(start: float, end: float) -> Segment:
    return Segment(start=start, end=end)


milliseconds = st.integers(0, 7_200_000)
segments = st.lists(
    st.builds(lambda start, length: segment(start / 1000, (start + length) / 1000), milliseconds, st.integers(1, 600_000)),
    min_size=1,
    max_size=10,
)


def test_pieces_at_minute_1_and_minute_110_are_fetched_apart() -> None:
    first, last = segment(60, 70), segment(6600, 6610)
    assert parts_to_fetch([last, first]) == (first, last)
    assert shared_part([last, first]) == (last, first)


def test_a_gap_of_exactly_a_minute_is_fetched_along() -> None:
    assert parts_to_fetch([segment(0, 10), segment(70, 80)]) == (segment(0, 80),)
    assert parts_to_fetch([segment(0, 10), segment(70.001, 80)]) == (segment(0, 10), segment(70.001, 80))


def test_a_segment_within_another_does_not_shorten_it() -> None:
    assert parts_to_fetch([segment(0, 100), segment(10, 20), segment(130, 140)]) == (segment(0, 140),)


def test_nothing_is_fetched_for_no_segments() -> None:
    assert parts_to_fetch([]) == shared_part([]) == ()


@given(segments)
def test_parts_rise_lie_far_apart_and_begin_and_end_with_segments(given_segments: list[Segment]) -> None:
    parts = parts_to_fetch(given_segments)
    assert all(later.start - earlier.end > NEAR for earlier, later in pairwise(parts))
    assert {part.start for part in parts} <= {one.start for one in given_segments}
    assert {part.end for part in parts} <= {one.end for one in given_segments}


@given(segments)
def test_every_segment_has_the_one_part_that_holds_it_and_no_part_is_without(given_segments: list[Segment]) -> None:
    shared = shared_part(given_segments)
    assert all(part.start <= one.start and one.end <= part.end for one, part in zip(given_segments, shared, strict=True))
    assert set(shared) == set(parts_to_fetch(given_segments))


@given(segments, st.randoms(use_true_random=False))
def test_the_order_of_the_segments_does_not_matter(given_segments: list[Segment], random: object) -> None:
    mixed = list(given_segments)
    random.shuffle(mixed)
    assert parts_to_fetch(mixed) == parts_to_fetch(given_segments)
