"""The index is found wherever it lies, in few and small reads."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.mp4.boxes import box
from services.clipper.mp4.moov_search import FIRST_READ, LARGEST_MOOV, moov_search
from tests import media
from tests.clipper.mp4.files import searched

FTYP = box(b"ftyp", b"isom", bytes(4))
MOOV = box(b"moov", box(b"mvhd", bytes(100)))


def mdat(size: int) -> bytes:
    return box(b"mdat", bytes(size))


def test_a_short_index_at_the_beginning_costs_one_read() -> None:
    found = searched(FTYP + MOOV + mdat(10**6))
    assert (found.moov, found.reads) == (MOOV, [range(FIRST_READ)])


def test_the_rest_of_a_long_index_is_read_at_once() -> None:
    moov = box(b"moov", box(b"free", bytes(200_000)))
    found = searched(FTYP + moov + mdat(10**6))
    assert (found.moov, found.reads) == (moov, [range(FIRST_READ), range(FIRST_READ, len(FTYP) + len(moov))])


@pytest.mark.parametrize("length", [100, 100_000])
def test_an_index_at_the_end_costs_two_reads_and_the_media_none(length: int) -> None:
    moov, media_bytes = box(b"moov", bytes(8), bytes(length)), mdat(10**7)
    data = FTYP + media_bytes + moov
    found = searched(data)
    assert (found.moov, found.reads) == (moov, [range(FIRST_READ), range(len(FTYP + media_bytes), len(data))])


def test_an_index_that_is_much_of_the_file_costs_one_read_more() -> None:
    moov = box(b"moov", bytes(8), bytes(300_000))
    data = FTYP + mdat(10**6) + moov
    found = searched(data)
    at = len(data) - len(moov)
    assert (found.moov, found.reads) == (moov, [range(FIRST_READ), range(at, at + FIRST_READ), range(at + FIRST_READ, len(data))])


def test_sizes_of_64_bits_and_to_the_end_are_understood() -> None:
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 10**6) + bytes(10**6)
    assert searched(FTYP + large + MOOV).moov == MOOV
    open_ended = bytes(4) + MOOV[4:]
    assert searched(FTYP + large + open_ended).moov == open_ended


def test_boxes_that_say_nothing_are_passed_over() -> None:
    fillers = b"".join(box(kind, bytes(9)) for kind in (b"wide", b"free", b"skip", b"uuid", b"pdin"))
    assert searched(FTYP + fillers + mdat(10**6) + fillers + MOOV + fillers).moov == MOOV


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\nhttp://example.org/secret\n",
        FTYP + mdat(1000),
        FTYP + MOOV[:-1],
        FTYP + mdat(100)[:-1],
        FTYP + box(b"free") * 64 + MOOV,
        FTYP + struct.pack(">I4s", 7, b"free") + MOOV,
        FTYP + struct.pack(">I4sQ", 1, b"mdat", 15) + MOOV,
        FTYP + struct.pack(">I4sQ", 1, b"mdat", (1 << 64) - 1) + MOOV,
        FTYP + box(b"moof", bytes(8)) + MOOV,
        FTYP + box(b"moov", box(b"mvhd", bytes(100)), box(b"mvex", bytes(8))),
    ],
)
def test_a_file_that_is_broken_or_fragmented_has_no_index(data: bytes) -> None:
    assert searched(data).moov is None


def test_an_index_beyond_all_bounds_is_not_read() -> None:
    search = moov_search(1 << 40)
    next(search)
    with pytest.raises(StopIteration) as end:
        search.send(FTYP + struct.pack(">I4s", LARGEST_MOOV + 1, b"moov") + bytes(1000))
    assert end.value.value is None


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe", "cmaf"])
def test_a_fragmented_file_of_ffmpegs_has_no_index(flags: str, tmp_path: Path) -> None:
    path = media.make(tmp_path / "a.mp4", frames=60, after=("-movflags", flags))
    assert searched(path.read_bytes()).moov is None


@given(data=st.binary(max_size=200), kinds=st.lists(st.sampled_from([b"ftyp", b"moov", b"mdat", b"free", b"uuid"]), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_bytes_lead_to_an_end_and_never_outside_the_file(data: bytes, kinds: list[bytes]) -> None:
    file = b"".join(box(kind, data[n::3]) for n, kind in enumerate(kinds)) + data
    found = searched(file)
    assert len(found.reads) <= 65
    assert all(0 <= part.start < part.stop <= len(file) for part in found.reads)
    assert found.moov is None or found.moov in file
