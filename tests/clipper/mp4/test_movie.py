"""What is read of real files is what ffprobe finds in them."""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.mp4.movie import NotUnderstood, Track, read_movie
from tests import media
from tests.clipper.mp4.files import moov_of, movie_of, packets, part_of, probed
from tests.thorough import IS_THOROUGH

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", "log-level=none:keyint=30:bframes=3")
AAC = ("-c:a", "aac", "-b:a", "64k")
Shape = Callable[[Path], Path]


def delayed(folder: Path) -> Path:
    plain = media.make(folder / "plain.mp4", frames=60)
    command = [media.FFMPEG, "-v", "error", "-itsoffset", "0.4", "-i", plain, "-i", plain, "-map", "0:v", "-map", "1:a", "-c", "copy"]
    media._run([*map(str, command), str(folder / "a.mp4")])
    return folder / "a.mp4"


SHAPES: dict[str, Shape] = {
    "B-frames, priming and edit lists": lambda folder: media.make(folder / "a.mp4", frames=90),
    "no B-frames": lambda folder: media.make(folder / "a.mp4", frames=90, video=media.gop(30, bframes=0)),
    "a pyramid of B-frames": lambda folder: media.make(folder / "a.mp4", frames=90, video=media.gop(45, bframes=5, more=":b-pyramid=2")),
    "all keyframes": lambda folder: media.make(folder / "a.mp4", frames=30, video=media.gop(1, bframes=0)),
    "the index first": lambda folder: media.make(folder / "a.mp4", frames=90, after=("-movflags", "+faststart")),
    "29.97 frames a second": lambda folder: media.make(folder / "a.mp4", frames=90, rate="30000/1001"),
    "a rate that varies": lambda folder: media.make(
        folder / "a.mp4", frames=90, video=(*media.gop(30), "-vf", "setpts=(N+floor(N/7)+random(1)*0.4)/30/TB", "-fps_mode", "vfr")
    ),
    "HEVC": lambda folder: media.make(folder / "a.mp4", frames=60, video=HEVC),
    "HEVC in MOV, the clock in thousandths": lambda folder: media.make(
        folder / "a.mov", frames=60, video=(*HEVC, "-video_track_timescale", "1000")
    ),
    "no edit lists": lambda folder: media.make(folder / "a.mp4", frames=90, after=("-use_editlist", "0")),
    "negative composition offsets": lambda folder: media.make(folder / "a.mp4", frames=90, after=("-movflags", "negative_cts_offsets")),
    "only sound": lambda folder: media.make(folder / "a.mp4", video=None, seconds=3),
    "only pictures": lambda folder: media.make(folder / "a.mp4", frames=90, audio=None),
    "MOV with AAC": lambda folder: media.make(folder / "a.mov", frames=90),
    "sound that begins later": lambda folder: media.make(folder / "a.mp4", frames=90, audio=(*AAC, "-af", "asetpts=PTS+0.7/TB")),
    "pictures that begin later": delayed,
    "one chunk of many samples": lambda folder: media.make(folder / "a.mp4", frames=90, after=("-max_interleave_delta", "9000000")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_sample_is_where_and_when_ffprobe_finds_it(shape: str, tmp_path: Path) -> None:
    path = SHAPES[shape](tmp_path)
    tracks = movie_of(path).tracks
    assert tracks
    for track in tracks:
        assert_as_probed(track, path)


def assert_as_probed(track: Track, path: Path) -> None:
    """ffprobe begins to count a second before sound that is hidden, and shifts decode times where composition offsets are negative."""
    found, asked = packets(track.samples), probed(path, track.number)
    assert asked
    shift = found[0].dts - asked[0].dts if len(found) == len(asked) else 0
    by_place = {packet.pos: packet for packet in found}
    for packet in asked:
        mine = by_place.pop(packet.pos)
        assert (mine.pts, mine.dts - shift, mine.size, mine.is_key) == (packet.pts, packet.dts, packet.size, packet.is_key)
        assert mine.is_hidden == packet.is_hidden
    assert all(packet.is_hidden for packet in by_place.values())
    assert shift == 0 or (track.handler == "vide" and shift == max(p.dts - p.pts for p in found))


def edited(path: Path, to: Path, handler: bytes, media_time: int, duration: int | None = None) -> Path:
    """The file with another edit in the track of this handler; `duration` in milliseconds."""
    data = bytearray(path.read_bytes())
    elst = data.rindex(b"elst", 0, data.index(handler, data.index(b"moov")))
    (length,) = struct.unpack_from(">I", data, elst + 12)
    struct.pack_into(">Ii", data, elst + 12, length if duration is None else duration, media_time)
    to.write_bytes(data)
    return to


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s at 30 frames a second, a keyframe every second, B-frames, AAC; a picture lasts 512 ticks, the first is shown at 1024."""
    return media.make(tmp_path_factory.mktemp("plain") / "a.mp4", frames=90, video=media.gop(30))


def edits(times: Sequence[int], durations: Sequence[int | None]) -> Sequence[tuple[int, int | None]]:
    """Each time once every day, with one of the durations."""
    every = [(time, duration) for time in times for duration in durations]
    return every if IS_THOROUGH else [(time, durations[n % len(durations)]) for n, time in enumerate(times)]


@pytest.mark.parametrize(
    ("media_time", "duration"),
    edits([0, 512, 1024, 1024 + 7 * 512, 1024 + 7 * 512 + 100, 1024 + 45 * 512 + 1], [None, 1000, 1234]),
)
def test_pictures_that_an_edit_list_leaves_out_are_hidden(plain: Path, media_time: int, duration: int | None, tmp_path: Path) -> None:
    path = edited(plain, tmp_path / "b.mp4", b"vide", media_time, duration)
    assert_as_probed(movie_of(path).tracks[0], path)


@pytest.mark.parametrize(("media_time", "duration"), edits([0, 1, 500, 1024, 2112, 48000, 100_003], [None, 100, 777]))
def test_sound_that_an_edit_list_leaves_out_is_hidden(plain: Path, media_time: int, duration: int | None, tmp_path: Path) -> None:
    path = edited(plain, tmp_path / "b.mp4", b"soun", media_time, duration)
    assert_as_probed(movie_of(path).tracks[1], path)


def test_an_edit_of_no_length_shows_the_media_to_its_end(plain: Path, tmp_path: Path) -> None:
    whole, without = movie_of(plain), movie_of(edited(plain, tmp_path / "b.mp4", b"vide", 1024, 0))
    assert packets(without.tracks[0].samples) == packets(whole.tracks[0].samples)


def test_an_edit_that_shows_nothing_is_not_understood(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(NotUnderstood, match="shows nothing"):
        movie_of(edited(plain, tmp_path / "b.mp4", b"vide", 512 * 100))


@given(seconds=st.tuples(st.floats(-1, 4), st.floats(-1, 4)))
@settings(max_examples=30, deadline=None)
def test_a_part_of_a_movie_is_that_part_of_the_whole(plain: Path, seconds: tuple[float, float]) -> None:
    start, end = sorted(seconds)
    for whole, part in zip(movie_of(plain).tracks, part_of(plain, start, end), strict=True):
        every, some = packets(whole.samples), packets(part.samples)
        at = every.index(some[0]) if some else 0
        assert some == every[at : at + len(some)]
        assert {p for p in every if start <= p.pts / whole.timescale < end} <= set(some)
        assert not some or some[0] == every[0] or (some[0].is_key and some[0].pts / whole.timescale <= start)
        assert part.begins == whole.begins


def test_a_part_of_a_movie_lets_the_tables_of_the_whole_go(plain: Path) -> None:
    for part in part_of(plain, 1.5, 1.6):
        assert part.presentation is None
        with pytest.raises(ValueError, match="a part"):
            part.within(1.5, 1.6)


def test_a_part_of_a_movie_costs_what_it_holds(plain: Path) -> None:
    parts = part_of(plain, 1.5, 1.6)
    assert [len(track.samples) <= 40 for track in parts] == [True, True]


def test_a_track_begins_when_the_first_of_it_is_shown(tmp_path: Path) -> None:
    assert [track.begins for track in movie_of(delayed(tmp_path)).tracks] == [round(0.4 * 15360), 0]
    bare = media.make(tmp_path / "b.mp4", frames=60, after=("-use_editlist", "0"))
    assert [track.begins for track in movie_of(bare).tracks] == [1024, 0]


def test_packets_of_pcm_lie_where_ffprobe_finds_them(tmp_path: Path) -> None:
    """A sample is one moment of sound there, and a packet of ffprobe's many of them."""
    path = media.make(tmp_path / "a.mov", frames=60, audio=("-c:a", "pcm_s16le"))
    track = movie_of(path).tracks[1]
    asked = probed(path, 1)
    nth = np.searchsorted(track.samples.present, [packet.pts for packet in asked])
    assert track.samples.offset[nth].tolist() == [packet.pos for packet in asked]
    assert set(track.samples.size.tolist()) == {2}
    assert len(track.samples) == 2 * media.RATE == sum(packet.size for packet in asked) // 2


def test_an_hour_of_pcm_is_read_only_in_parts(tmp_path: Path) -> None:
    path = media.make(
        tmp_path / "a.mov",
        video=None,
        audio=(
            "-c:a",
            "pcm_u8",
        ),
        seconds=60,
    )
    with pytest.raises(NotUnderstood, match="samples at once"):
        movie_of(path)
    part = part_of(path, 30, 31)[0].samples
    assert len(part) <= 2 * media.RATE
    assert int(part.present[0]) <= 30 * media.RATE


def test_offsets_of_64_bits_are_read_as_those_of_32(plain: Path) -> None:
    moov = moov_of(plain)
    boxes = list(_stco(moov))
    large = moov
    for at, offsets in reversed(boxes):
        co64 = struct.pack(">I4sII", 16 + 8 * len(offsets), b"co64", 0, len(offsets)) + struct.pack(f">{len(offsets)}Q", *offsets)
        large = _replaced(large, at, 16 + 4 * len(offsets), co64)
    size = plain.stat().st_size
    for track, same in zip(read_movie(moov, size).tracks, read_movie(large, size).tracks, strict=True):
        assert packets(track.samples) == packets(same.samples)


def _stco(moov: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    at = 0
    while (at := moov.find(b"stco", at + 1)) > 0:
        (count,) = struct.unpack_from(">I", moov, at + 8)
        yield at - 4, struct.unpack_from(f">{count}I", moov, at + 12)


def _replaced(moov: bytes, at: int, length: int, new: bytes) -> bytes:
    """The moov with another box there, and the sizes of all boxes around it put right."""
    data = bytearray(moov)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        header = moov.rindex(kind, 0, at) - 4
        struct.pack_into(">I", data, header, struct.unpack_from(">I", data, header)[0] + len(new) - length)
    data[at : at + length] = new
    return bytes(data)


def test_what_a_track_is_besides_its_samples_is_read(tmp_path: Path) -> None:
    made = media.make(tmp_path / "a.mp4", frames=30, after=("-metadata:s:a", "language=deu"))
    picture, sound = movie_of(media.turned(made)).tracks
    assert (picture.number, picture.handler, picture.timescale, picture.is_enabled) == (0, "vide", 15360, True)
    assert (sound.number, sound.handler, sound.timescale) == (1, "soun", media.RATE)
    assert (picture.width >> 16, picture.height >> 16) == (media.WIDTH, media.HEIGHT)
    assert struct.unpack(">9i", picture.matrix)[:4] == (0, 1 << 16, 0, -1 << 16)
    assert int.from_bytes(sound.language) == (4 << 10 | 5 << 5 | 21)
    assert [entry[4:8] for track in (picture, sound) for entry in track.entries] == [b"avc1", b"mp4a"]


def test_tracks_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    lines = tmp_path / "a.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    plain = media.make(tmp_path / "a.mp4", frames=60)
    media._run(
        [
            media.FFMPEG,
            "-v",
            "error",
            "-i",
            str(lines),
            "-i",
            str(plain),
            "-c",
            "copy",
            "-c:s",
            "mov_text",
            "-map",
            "0",
            "-map",
            "1",
            str(tmp_path / "b.mp4"),
        ]
    )
    assert [(track.number, track.handler) for track in movie_of(tmp_path / "b.mp4").tracks] == [(1, "vide"), (2, "soun")]
