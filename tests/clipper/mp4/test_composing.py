"""What is composed is what ffmpeg and ffprobe then find: the same pictures, at the right times, in few moves."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.mp4.boxes import Box, NotUnderstood, outermost
from services.clipper.mp4.composing import Composition, Edit, OutputSamples, OutputTrack, compose, timeline
from services.clipper.mp4.movie import Movie, Track, read_movie
from services.clipper.mp4.sample_entry import fourcc
from tests import media
from tests.clipper.mp4.files import UNTURNED, moov_of, movie_of, output_of, packets, probed, searched, written

MILLISECONDS = 1000


def every(movie: Movie) -> Composition:
    """A movie of all samples of another; its sound keeps its priming, behind an edit."""
    return compose([_whole(track) for track in movie.tracks], movie_timescale=48_000)


def _whole(track: Track) -> OutputTrack:
    priming = -min(int(track.samples.present[0]), 0)
    shown = int(track.samples.duration.sum()) - priming
    edit = Edit(delay=0, media_time=priming, duration=shown) if track.handler == "soun" else None
    return output_of(track, track.samples, edit=edit)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s at 30 frames a second, a keyframe every second, B-frames, AAC."""
    return media.make(tmp_path_factory.mktemp("plain") / "a.mp4", frames=90, video=media.gop(30))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make(tmp_path_factory.mktemp("other") / "b.mp4", frames=15, before=("-r", "30"), audio=None)


@pytest.mark.parametrize(
    "video", [media.gop(30), media.gop(30, bframes=0), media.gop(1, bframes=0), media.gop(45, bframes=5, more=":b-pyramid=2")]
)
def test_a_file_composed_of_anothers_samples_plays_the_same(video: tuple[str, ...], tmp_path: Path) -> None:
    source = media.make(tmp_path / "a.mp4", frames=90, video=video)
    clip = written(every(movie_of(source)), [source], tmp_path / "clip.mp4")
    assert media.numbers(clip) == media.numbers(clip, options=("-noautorotate", "-ignore_editlist", "1")) == list(range(90))
    assert media.beeps(clip) == pytest.approx([0, 1, 2], abs=0.001)
    assert not media._run([media.FFMPEG, "-v", "warning", "-xerror", "-i", str(clip), "-f", "null", "-"])


def test_pictures_begin_at_zero_without_an_edit_list(plain: Path, tmp_path: Path) -> None:
    clip = written(every(movie_of(plain)), [plain], tmp_path / "clip.mp4")
    assert movie_of(clip).tracks[0].samples.present.min() == 0
    assert sorted(packet.pts for packet in probed(clip, 0)) == [512 * n for n in range(90)]
    assert not any(packet.is_hidden for packet in probed(clip, 0))
    assert moov_of(clip).count(b"elst") == 1


def test_sound_is_primed_behind_an_edit(plain: Path, tmp_path: Path) -> None:
    clip = written(every(movie_of(plain)), [plain], tmp_path / "clip.mp4")
    assert [(packet.pts, packet.is_hidden) for packet in probed(clip, 1)[:2]] == [(-1024, True), (0, False)]


def test_what_was_composed_is_read_as_it_was_meant(plain: Path, tmp_path: Path) -> None:
    clip = written(every(movie_of(plain)), [plain], tmp_path / "clip.mp4")
    for before, after in zip(movie_of(plain).tracks, movie_of(clip).tracks, strict=True):
        assert after.samples.present.tolist() == before.samples.present.tolist()
        assert after.samples.size.tolist() == before.samples.size.tolist()
        assert after.samples.is_sync.tolist() == before.samples.is_sync.tolist()
        assert (after.handler, after.timescale, after.entries, after.matrix) == (
            before.handler,
            before.timescale,
            before.entries,
            before.matrix,
        )
        assert (after.width, after.height, after.language) == (before.width, before.height, before.language)


def test_a_source_in_its_own_order_is_moved_at_once(plain: Path) -> None:
    composed = every(movie_of(plain))
    assert len(composed.moves) == 1
    assert composed.size == len(composed.header) + composed.moves[0].length


def test_nothing_but_the_samples_is_in_the_file(plain: Path) -> None:
    movie = movie_of(plain)
    tracks = [output_of(track, track.samples.pick(slice(30, 60))) for track in movie.tracks]
    composed = compose(tracks, movie_timescale=MILLISECONDS)
    assert composed.size == len(composed.header) + sum(int(track.samples.size.sum()) for track in tracks)


def test_the_index_comes_first_and_the_media_fill_the_rest(plain: Path, tmp_path: Path) -> None:
    composed = every(movie_of(plain))
    data = written(composed, [plain], tmp_path / "clip.mp4").read_bytes()
    assert searched(data).reads == [range(min(64 << 10, len(data)))]
    size, kind = struct.unpack(">I4s", composed.header[-8:])
    assert (kind, size) == (b"mdat", len(data) - len(composed.header) + 8)


def test_a_picture_of_two_files_is_decoded_by_two_entries(plain: Path, other: Path, tmp_path: Path) -> None:
    """A head of another encoding, then the rest of the source from its second keyframe on."""
    head, rest = movie_of(other).tracks[0], movie_of(plain).tracks[0]
    samples = rest.samples.pick(slice(30, 90))
    assert bool(samples.is_sync[0])
    shown = np.concatenate((head.samples.present, samples.present - samples.present.min() + 15 * 512))
    durations, compositions = timeline(shown, 75 * 512)
    both = OutputSamples(
        file=np.repeat([1, 0], [15, 60]),
        offset=np.concatenate((head.samples.offset, samples.offset)),
        size=np.concatenate((head.samples.size, samples.size)),
        duration=durations,
        composition=compositions,
        is_sync=np.concatenate((head.samples.is_sync, samples.is_sync)),
        description=np.repeat([1, 2], [15, 60]),
    )
    track = replace(output_of(rest, samples), entries=(*head.entries, *rest.entries), samples=both)
    clip = written(compose([track], movie_timescale=MILLISECONDS), [plain, other], tmp_path / "clip.mp4")
    assert media.numbers(clip) == [*range(15), *range(30, 90)]


def test_sound_of_another_file_lies_beside_its_pictures(plain: Path, tmp_path: Path) -> None:
    picture, sound = movie_of(plain).tracks
    tracks = [output_of(picture, picture.samples), output_of(sound, sound.samples, file=1)]
    clip = written(compose(tracks, movie_timescale=MILLISECONDS), [plain, plain], tmp_path / "clip.mp4")
    shown = [sorted((p.pos, p.dts / track.timescale) for p in probed(clip, track.number)) for track in movie_of(clip).tracks]
    for place, time in shown[1]:
        nearest = max((t for at, t in shown[0] if at < place), default=0.0)
        assert abs(nearest - time) <= 0.6
    assert media.beeps(clip) == pytest.approx([1024 / 48_000 + n for n in range(3)], abs=0.001)


def test_sound_may_begin_later(plain: Path, tmp_path: Path) -> None:
    picture, sound = movie_of(plain).tracks
    edit = Edit(delay=24_000, media_time=1024, duration=48_000)
    tracks = [output_of(picture, picture.samples), output_of(sound, sound.samples.pick(slice(0, 47)), edit=edit)]
    clip = written(compose(tracks, movie_timescale=MILLISECONDS), [plain], tmp_path / "clip.mp4")
    assert movie_of(clip).tracks[1].begins == 24_000
    assert [packet.pts for packet in probed(clip, 1)[:2]] == [24_000 - 1024, 24_000]
    assert media.beeps(clip) == pytest.approx([0.5], abs=0.001)


def test_negative_offsets_are_announced(plain: Path) -> None:
    """By the version of ctts, cslg for QuickTime, and the brand that has them."""
    header = every(movie_of(plain)).header
    ctts = header.index(b"ctts")
    assert header[ctts + 4] == 1
    assert struct.unpack_from(">5i", header, header.index(b"cslg") + 8) == (512, -512, 1024, 0, 90 * 512)
    assert header[8:12] == b"iso4"
    without = compose([output_of(movie_of(plain).tracks[1], movie_of(plain).tracks[1].samples)], movie_timescale=MILLISECONDS).header
    assert without[8:12] == b"isom"
    assert b"ctts" not in without


def test_a_turned_picture_stays_turned(plain: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(plain.read_bytes())
    clip = written(every(movie_of(media.turned(source))), [source], tmp_path / "clip.mp4")
    assert (
        media.told(clip, "stream_side_data=rotation", "-select_streams", "v")
        == media.told(source, "stream_side_data=rotation", "-select_streams", "v")
        != []
    )


@pytest.mark.parametrize(("told", "language"), [(0x10A7, 0x10A7), (0, 0x55C4), (0x7FFF, 0x7FFF)])
def test_a_language_by_quicktimes_numbers_is_not_known(plain: Path, told: int, language: int) -> None:
    track = replace(_whole(movie_of(plain).tracks[1]), language=told.to_bytes(2))
    header = compose([track], movie_timescale=MILLISECONDS).header
    moov = searched(header).moov
    assert moov is not None
    assert outermost(moov).need(b"trak", b"mdia", b"mdhd").unpack("H", 20) == (language,)


def track_of(samples: OutputSamples, entry: bytes = b"\0\0\0\x10test" + bytes(6) + b"\0\x05") -> OutputTrack:
    return OutputTrack(
        handler="vide",
        timescale=90_000,
        entries=(entry,),
        samples=samples,
        matrix=UNTURNED,
        width=0,
        height=0,
        language=b"\x55\xc4",
        edit=None,
    )


def samples_of(size: list[int], **more: list[int]) -> OutputSamples:
    size_array = np.array(size, np.int64)
    ones = np.ones_like(size_array)
    columns = {
        "file": ones * 0,
        "duration": ones * 3000,
        "composition": ones * 0,
        "description": ones,
        "offset": np.cumsum(size_array) - size_array,
    }
    columns |= {name: np.array(values, np.int64) for name, values in more.items()}
    return OutputSamples(size=size_array, is_sync=ones > 0, **columns)


def test_more_than_4_gib_get_places_of_64_bits() -> None:
    sizes = [1 << 31] * 4
    composed = compose([track_of(samples_of(sizes, duration=[90_000] * 4))], movie_timescale=MILLISECONDS)
    found = searched_movie(composed).tracks[0].samples
    assert b"co64" in composed.header
    assert found.size.tolist() == sizes
    assert found.offset.tolist() == [len(composed.header) + n * (1 << 31) for n in range(4)]
    assert struct.unpack(">I4sQ", composed.header[-16:]) == (1, b"mdat", 16 + sum(sizes))


def searched_movie(composed: Composition) -> Movie:
    at = composed.header.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", composed.header, at)
    return read_movie(composed.header[at : at + size], composed.size)


def test_a_very_long_movie_gets_times_of_64_bits() -> None:
    composed = compose([track_of(samples_of([1] * 8, duration=[1 << 30] * 8))], movie_timescale=90_000)
    assert [outermost_of(composed).need(*path).version for path in ((b"mvhd",), (b"trak", b"tkhd"), (b"trak", b"mdia", b"mdhd"))] == [
        1,
        1,
        1,
    ]
    assert searched_movie(composed).tracks[0].samples.decode.tolist() == [n << 30 for n in range(8)]


def outermost_of(composed: Composition) -> Box:
    return outermost(composed.header[composed.header.index(b"moov") - 4 :])


@pytest.mark.parametrize(
    "broken", [{"duration": [1 << 32]}, {"duration": [-1]}, {"composition": [1 << 31]}, {"composition": [-(1 << 31) - 1]}]
)
def test_what_mp4_has_no_room_for_is_refused(broken: dict[str, list[int]]) -> None:
    with pytest.raises(NotUnderstood, match="no room"):
        compose([track_of(samples_of([1], **broken))], movie_timescale=MILLISECONDS)


def test_entries_point_into_the_file_itself() -> None:
    (entry,) = searched_movie(compose([track_of(samples_of([1]))], movie_timescale=MILLISECONDS)).tracks[0].entries
    assert (fourcc(entry), entry[14:16]) == (b"test", b"\0\x01")


present_times = st.lists(st.integers(0, 10_000), min_size=1, max_size=40, unique=True)


@given(present=present_times, more=st.integers(1, 1000))
def test_a_timeline_presents_each_sample_when_it_should_be(present: list[int], more: int) -> None:
    durations, compositions = timeline(np.array(present), max(present) + more)
    decode = np.cumsum(durations) - durations
    assert (decode + compositions).tolist() == [time - min(present) for time in present]
    assert (durations > 0).all()
    assert int(durations.sum()) == max(present) + more - min(present)


@st.composite
def outputs(draw: st.DrawFn) -> OutputTrack:
    count = draw(st.integers(1, 30))

    def column(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    return track_of(
        samples_of(column(0, 3), file=column(0, 2), offset=column(0, 60), duration=column(1, 90_000), composition=column(-9, 9))
    )


@given(tracks=st.lists(outputs(), min_size=1, max_size=3))
def test_the_moves_put_every_sample_where_the_index_says(tracks: list[OutputTrack]) -> None:
    files = [bytes((7 * n + 80 * number) % 256 for n in range(70)) for number in range(3)]
    composed = compose(tracks, movie_timescale=MILLISECONDS)
    output = bytearray(composed.header)
    for move in composed.moves:
        assert move.to == len(output)
        output += files[move.file][move.offset : move.offset + move.length]
    assert len(output) == composed.size
    for given_track, found in zip(tracks, searched_movie(composed).tracks, strict=True):
        asked = given_track.samples
        rows = zip(asked.file.tolist(), asked.offset.tolist(), asked.size.tolist(), strict=True)
        assert [bytes(output[p.pos : p.pos + p.size]) for p in packets(found.samples)] == [files[f][o : o + n] for f, o, n in rows]
        assert found.samples.duration.tolist() == asked.duration.tolist()
        assert (found.samples.present - found.samples.decode).tolist() == asked.composition.tolist()
