"""Event streams taken apart, however they come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipstream import ClipstreamError
from clipstream.frames import LARGEST, Frame, Frames

STREAM = b': hello\n\nid: 1\nevent: x\ndata: {"a":\r\ndata: 1}\r\n\r\nretry: 3\n\ndata:two\r\rid\ndata: three\n\n\n'
FRAMES = [Frame("1", b'{"a":\n1}'), Frame("1", b"two"), Frame("", b"three")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_wherever_a_stream_is_torn_its_events_are_the_same(cuts: list[int]) -> None:
    places, frames = sorted({0, *cuts, len(STREAM)}), Frames()
    assert [frame for begin, end in pairwise(places) for frame in frames.fed(STREAM[begin:end])] == FRAMES


@pytest.mark.parametrize("chunk", [b"a" * 65536, b"data: " + b"a" * 65530 + b"\n"], ids=["a line", "an event"])
def test_what_has_no_end_is_not_kept(chunk: bytes) -> None:
    frames = Frames()
    with pytest.raises(ClipstreamError, match="too large"):
        for _ in range(LARGEST // len(chunk) + 2):
            assert list(frames.fed(chunk)) == []


def test_a_stream_of_many_small_events_goes_on_for_ever() -> None:
    frames, event = Frames(), b"data: " + b"a" * 1000 + b"\n\n"
    assert sum(len(list(frames.fed(event))) for _ in range(2 * LARGEST // len(event))) == 2 * LARGEST // len(event)
