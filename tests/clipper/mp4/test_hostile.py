"""A moov box that lies: it is not understood, or it is a movie whose arrays agree and are bounded; quickly, and in little memory."""

import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.mp4.boxes import NotUnderstood
from services.clipper.mp4.movie import Movie, read_movie
from services.clipper.mp4.sample_table import MOST_EXPANDED
from tests import media
from tests.clipper.mp4.files import moov_of
from tests.thorough import IS_THOROUGH

FILE_SIZE = 10**6
MOST_SECONDS = 2.0
MOST_BYTES = 300 << 20
TABLES = (b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"elst", b"mvhd", b"mdhd", b"tkhd", b"stsd", b"dref", b"hdlr")
EXTREMES = st.sampled_from([0, 1, 2, 7, 255, 1 << 16, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])


@pytest.fixture(scope="module")
def moov(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return moov_of(media.make(tmp_path_factory.mktemp("plain") / "a.mp4", frames=40, video=media.gop(20)))


def assert_harmless(moov: bytes, start: float = 0.0, end: float = 1.0) -> None:
    """Read as a whole, and in part."""
    began = time.process_time()
    with suppress(NotUnderstood):
        assert_consistent(read_movie(moov, FILE_SIZE))
    with suppress(NotUnderstood):
        movie = read_movie(moov, FILE_SIZE, is_whole=False)
        assert_consistent(replace(movie, tracks=tuple(track.within(start, end) for track in movie.tracks)))
    assert time.process_time() - began < MOST_SECONDS


def assert_consistent(movie: Movie) -> None:
    assert movie.timescale > 0
    for track in movie.tracks:
        samples = track.samples
        columns = (samples.size, samples.decode, samples.present, samples.duration, samples.is_sync, samples.description, samples.is_hidden)
        assert {len(column) for column in columns} == {len(samples)}
        assert len(samples) <= MOST_EXPANDED
        assert ((samples.offset >= 0) & (samples.size >= 0) & (samples.offset + samples.size <= FILE_SIZE)).all()
        assert ((samples.description >= 1) & (samples.description <= len(track.entries))).all()
        assert (samples.duration >= 0).all()


def places(moov: bytes) -> Iterator[int]:
    """Where the fields of the boxes that matter lie."""
    for kind in TABLES:
        at = moov.find(kind)
        while at > 0:
            yield from range(at - 4, min(at + 60, len(moov) - 8), 4)
            at = moov.find(kind, at + 1)


@given(data=st.data())
@settings(max_examples=400 if IS_THOROUGH else 100, deadline=None)
def test_fields_changed_to_extremes_do_no_harm(moov: bytes, data: st.DataObject) -> None:
    changed = bytearray(moov)
    fields = sorted(set(places(moov)))
    for _ in range(data.draw(st.integers(1, 4))):
        struct.pack_into(">I", changed, data.draw(st.sampled_from(fields)), data.draw(EXTREMES))
    assert_harmless(bytes(changed), *data.draw(st.sampled_from([(0.0, 0.0), (0.3, 0.9), (-1e9, 1e9)])))


@given(data=st.data())
@settings(max_examples=200 if IS_THOROUGH else 60, deadline=None)
def test_bytes_changed_anywhere_do_no_harm(moov: bytes, data: st.DataObject) -> None:
    changed = bytearray(moov)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(moov) - 1))] = data.draw(st.integers(0, 255))
    assert_harmless(bytes(changed[: data.draw(st.sampled_from([len(moov), len(moov) // 2, 9]))]))


@given(data=st.binary(max_size=300))
def test_any_bytes_do_no_harm(data: bytes) -> None:
    assert_harmless(data)
    assert_harmless(struct.pack(">I4s", 8 + len(data), b"moov") + data)


def replaced_table(moov: bytes, kind: bytes, *fields: int) -> bytes:
    """The first such box with these 32-bit fields after its version and flags."""
    changed = bytearray(moov)
    struct.pack_into(f">{len(fields)}I", changed, moov.index(kind) + 8, *fields)
    return bytes(changed)


@pytest.mark.parametrize("count", [40, 2_000_000, 20_000_000, (1 << 32) - 1])
@pytest.mark.parametrize("size", [0, 1, (1 << 32) - 1])
def test_a_few_bytes_that_claim_many_samples_take_no_memory(moov: bytes, count: int, size: int) -> None:
    claimed = replaced_table(moov, b"stsz", size, count)
    claimed = replaced_table(claimed, b"stts", 1, count, 512)
    claimed = replaced_table(claimed, b"stsc", 1, 1, count, 1)
    claimed = claimed.replace(b"ctts", b"free").replace(b"stss", b"free")
    tracemalloc.start()
    try:
        assert_harmless(claimed)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        (b"stsz", (0, 41), "too short"),
        (b"stsz", (0, 39), "contradict"),
        (b"stts", (1, 39, 512), "contradict"),
        (b"stts", (1, 40, 1 << 31), "go back"),
        (b"stts", ((1 << 32) - 1,), "too short"),
        (b"ctts", (1,), "contradict"),
        (b"stss", (2, 21, 1), "not in order"),
        (b"stss", (2, 1, 41), "not in order"),
        (b"stss", (2, 0, 1), "not in order"),
        (b"stsc", (1, 2), "contradict"),
        (b"stsc", (1, 1, 1, 2), "contradict"),
        (b"stsc", (1, 1, 0, 1), "contradict"),
        (b"stco", (40, FILE_SIZE), "outside|too short"),
        (b"elst", (1, 0, 0, 2 << 16), "speed"),
        (b"elst", (0, 0, 0, 0), None),
        (b"elst", (2, 0, 0, 1 << 16), "too short"),
        (b"elst", (1, 100, (1 << 32) - 1, 1 << 16), "several"),
        (b"mvhd", (0, 0, 0), "stands still"),
        (b"dref", (1, 12, 0x75726C20, 0), "another file"),
    ],
)
def test_what_contradicts_itself_is_not_understood(moov: bytes, kind: bytes, fields: tuple[int, ...], why: str | None) -> None:
    changed = replaced_table(moov, kind, *fields)
    if why is None:
        assert read_movie(changed, FILE_SIZE).tracks
        return
    with pytest.raises(NotUnderstood, match=why):
        read_movie(changed, FILE_SIZE)


@pytest.mark.parametrize(
    ("kind", "other"), [(b"avc1", b"encv"), (b"mp4a", b"enca"), (b"udta", b"mvex"), (b"udta", b"cmov"), (b"stbl", b"free")]
)
def test_what_is_encrypted_compressed_fragmented_or_missing_is_not_understood(moov: bytes, kind: bytes, other: bytes) -> None:
    at = moov.index(kind)
    with pytest.raises(NotUnderstood):
        read_movie(moov[:at] + other + moov[at + 4 :], FILE_SIZE)


def test_a_sample_outside_the_file_is_not_understood(moov: bytes) -> None:
    with pytest.raises(NotUnderstood, match="outside"):
        read_movie(moov, 2000)


def test_samples_that_lie_on_one_another_are_not_understood(moov: bytes) -> None:
    """Else a small file could be made into a very large clip."""
    (count,) = struct.unpack_from(">I", moov, moov.index(b"stco") + 8)
    overlapping = replaced_table(moov, b"stco", count, *[0] * count)
    assert read_movie(overlapping, FILE_SIZE).tracks
    with pytest.raises(NotUnderstood, match="one another"):
        read_movie(overlapping, int(read_movie(moov, FILE_SIZE).tracks[0].samples.size.sum()) - 1)


def test_an_empty_table_of_sync_samples_means_none(moov: bytes) -> None:
    assert not read_movie(replaced_table(moov, b"stss", 0), FILE_SIZE).tracks[0].samples.is_sync.any()
    assert read_movie(moov.replace(b"stss", b"free"), FILE_SIZE).tracks[0].samples.is_sync.all()


def test_offsets_that_quicktime_wrote_unsigned_are_negative(moov: bytes) -> None:
    before, after = moov, replaced_table(moov, b"ctts", struct.unpack_from(">I", moov, moov.index(b"ctts") + 8)[0], 1, (1 << 32) - 512)
    shift = [
        movie.tracks[0].samples.present - movie.tracks[0].samples.decode for movie in (read_movie(m, FILE_SIZE) for m in (before, after))
    ]
    assert (int(shift[0][0]), int(shift[1][0])) == (1024, -512)


def test_a_box_full_of_boxes_is_not_walked_to_its_end() -> None:
    many = struct.pack(">I4s", 8, b"free") * 1_000_000
    moov = struct.pack(">I4s", 8 + len(many), b"moov") + many
    assert_harmless(moov)
