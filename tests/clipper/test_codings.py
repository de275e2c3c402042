"""What goes with a track of H.264 or H.265, on files of ffmpeg's; how clips made of it play is shown in test_cutting and test_corpus."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.bitstream.h264_configuration import AvcConfiguration
from services.clipper.bitstream.h264_parameters import picture_parameters, sequence_parameters
from services.clipper.bitstream.hevc import picture_kind
from services.clipper.bitstream.hevc_configuration import HevcConfiguration
from services.clipper.bitstream.hevc_metadata import static_metadata
from services.clipper.bitstream.hevc_nal import Kind, kind_of
from services.clipper.bitstream.nal import BrokenBitstream, as_sample, nal_units
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.codings import Avc, Coding, Hevc, carries_other_parameters, coding_of, is_played
from services.clipper.mp4.movie import Track
from services.clipper.mp4.sample_entry import configuration, with_configuration
from services.clipper.window import local_movie
from tests import media
from tests.clipper.corpus import BT2020, HDR10, TEN_BIT
from tests.clipper.running import Clipper

X264 = {"c:v": "libx264", "preset": "veryfast"}
PREFIX = bytes((39 << 1, 1))


def of_kind(entry: bytes, kind: bytes) -> bytes:
    """The same sample entry under another name."""
    return entry[:4] + kind + entry[8:]


def track(path: Path, video: tuple[str, ...], *, frames: int = 12) -> Track:
    movie = local_movie(media.make(path, frames=frames, video=video, audio=None))
    assert movie
    return movie.tracks[0]


def coding(entry: bytes, keyframe: bytes = b"") -> Coding:
    found = coding_of(entry, keyframe)
    assert found
    return found


def samples(path: Path, track: Track) -> list[bytes]:
    data, places = path.read_bytes(), zip(track.samples.offset.tolist(), track.samples.size.tolist(), strict=True)
    return [data[offset : offset + size] for offset, size in places]


@pytest.fixture(scope="module")
def avc(folder: Path) -> Track:
    return track(folder / "coding-avc.mp4", media.gop(6))


@pytest.fixture(scope="module")
def hevc(folder: Path) -> Track:
    return track(folder / "coding-hevc.mp4", media.hevc(6, is_open=True))


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        (media.gop(6), (Avc, "yuv420p", False, True)),
        ((*media.gop(6), "-pix_fmt", "yuvj420p"), (Avc, "yuvj420p", False, True)),
        ((*media.gop(6), "-pix_fmt", TEN_BIT), (Avc, TEN_BIT, False, True)),
        ((*media.gop(6), "-pix_fmt", "yuv444p10le"), (Avc, "yuv444p10le", False, False)),
        ((*media.gop(6, more=":tff=1"), "-flags", "+ildct+ilme"), (Avc, "yuv420p", True, True)),
        (media.hevc(6), (Hevc, "yuv420p", False, True)),
        (media.hevc(6, pixels=TEN_BIT), (Hevc, TEN_BIT, False, True)),
        (media.hevc(6, pixels="yuv422p"), (Hevc, "yuv422p", False, False)),
    ],
    ids=lambda value: None if isinstance(value, tuple) and isinstance(value[0], str) else str(value[1:]),
)
def test_a_track_is_known_by_its_entry(tmp_path: Path, video: tuple[str, ...], expected: tuple[Any, ...]):
    found = coding(track(tmp_path / "a.mp4", video, frames=2).entries[0])
    assert (type(found), found.pixel_format, found.is_interlaced, is_played(found)) == expected


def test_what_is_not_spliced_has_no_coding(avc: Track):
    assert coding_of(None) is None
    assert coding_of(of_kind(avc.entries[0], b"mp4v")) is None
    with pytest.raises(BrokenBitstream):
        coding_of(of_kind(avc.entries[0], b"hvc1"))


def test_an_open_keyframe_is_one_of_h265_but_not_of_h264(folder: Path, avc: Track, hevc: Track):
    opened = track(folder / "coding-open.mp4", media.gop(6, more=":open-gop=1:b-adapt=0"))
    for part, path, later in (
        (avc, "coding-avc.mp4", RandomAccess.CLEAN),
        (opened, "coding-open.mp4", RandomAccess.NONE),
        (hevc, "coding-hevc.mp4", RandomAccess.OPEN),
    ):
        keys = [sample for sample, is_key in zip(samples(folder / path, part), part.samples.is_sync, strict=True) if is_key]
        assert [coding(part.entries[0]).access(key) for key in keys] == [RandomAccess.CLEAN, later]


@pytest.mark.parametrize(("taken", "parts"), [((), (1, 2)), ((2,), (1, 3)), ((1, 2, 4), (3, 5))])
def test_each_part_of_h264_is_encoded_with_an_id_that_nothing_else_has(avc: Track, taken: tuple[int, ...], parts: tuple[int, ...]):
    """The source's own id is 0."""
    record = AvcConfiguration.from_bytes(configuration(avc.entries[0], b"avcC") or b"")
    more = tuple(picture_set(number) for number in taken)
    entry = with_configuration(avc.entries[0], b"avcC", with_pictures(record, more).to_bytes())
    assert [coding(entry).encoder(n) for n in (0, 1)] == [X264 | {"x264-params": f"sps-id={part}:open-gop=0"} for part in parts]


def test_there_is_no_encoder_when_every_id_is_taken(avc: Track):
    record = AvcConfiguration.from_bytes(configuration(avc.entries[0], b"avcC") or b"")
    entry = with_configuration(avc.entries[0], b"avcC", with_pictures(record, tuple(picture_set(n) for n in range(1, 31))).to_bytes())
    assert coding(entry).encoder(0)["x264-params"] == "sps-id=31:open-gop=0"
    with pytest.raises(BrokenBitstream):
        coding(entry).encoder(1)


def picture_set(number: int) -> bytes:
    """A picture parameter set of this id, and of sequence 0 (ITU-T H.264 7.3.2.2)."""
    code = f"{number + 1:b}"
    return bytes((0x68, *int(("0" * (len(code) - 1) + code + "11").ljust(16, "0"), 2).to_bytes(2)))


def with_pictures(record: AvcConfiguration, more: tuple[bytes, ...]) -> AvcConfiguration:
    return AvcConfiguration(
        record.profile, record.compatibility, record.level, record.length_size, record.sequences, (*record.pictures, *more), record.format
    )


def test_one_entry_of_h264_holds_the_parameters_of_all_parts(tmp_path: Path, avc: Track):
    parts = [track(tmp_path / f"{n}.mp4", media.gop(6, more=f":sps-id={n}"), frames=2).entries[0] for n in (1, 2)]
    source = coding(avc.entries[0])
    (entry,) = source.entries(avc.entries[0], parts, with_source=True)
    record = AvcConfiguration.from_bytes(configuration(entry, b"avcC") or b"")
    assert [sequence_parameters(unit).id for unit in record.sequences] == [picture_parameters(unit).id for unit in record.pictures]
    assert [sequence_parameters(unit).id for unit in record.sequences] == [0, 1, 2]
    assert [source.description(part) for part in (None, 0, 1)] == [1, 1, 1]
    assert source.keyframe(b"", encoded=None, is_first=True) is None
    (alone,) = source.entries(avc.entries[0], parts[:1], with_source=False)
    assert configuration(alone, b"avcC") == configuration(parts[0], b"avcC")
    assert source.entries(avc.entries[0], [], with_source=True) == avc.entries


def test_each_part_of_h265_has_an_entry_of_its_own(tmp_path: Path, hevc: Track):
    parts = [track(tmp_path / "a.mp4", media.hevc(6, bframes=0), frames=2).entries[0]]
    source = coding(hevc.entries[0])
    own, other = source.entries(hevc.entries[0], parts, with_source=True)
    assert own == hevc.entries[0]
    assert configuration(other, b"hvcC") == configuration(parts[0], b"hvcC") != configuration(own, b"hvcC")
    assert [source.description(part) for part in (None, 0)] == [1, 2]
    assert source.entries(hevc.entries[0], parts, with_source=False) == (other,)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (media.hevc(6), media.hevc(6, pixels=TEN_BIT)),
        (media.hevc(6), (*media.hevc(6), "-vf", "crop=128:96")),
        (media.hevc(6), (*media.hevc(6), "-color_range", "pc")),
        (media.gop(6), (*media.gop(6, more=":sps-id=1"), "-vf", "crop=128:96")),
        (media.gop(6), (*media.gop(6, more=":sps-id=1"), "-pix_fmt", "yuv422p")),
    ],
)
def test_parts_whose_pictures_differ_are_refused(tmp_path: Path, own: tuple[str, ...], other: tuple[str, ...]):
    entries = [track(tmp_path / f"{n}.mp4", video, frames=2).entries[0] for n, video in enumerate((own, other))]
    with pytest.raises(BrokenBitstream):
        coding(entries[0]).entries(entries[0], entries[1:], with_source=True)


@pytest.mark.parametrize("video", [media.hevc(6), media.gop(6, more=":sps-id=1")], ids=["hevc", "avc"])
def test_a_part_may_tell_colours_that_the_source_leaves_out(tmp_path: Path, avc: Track, hevc: Track, video: tuple[str, ...]):
    own = hevc.entries[0] if "libx265" in video else avc.entries[0]
    told = track(tmp_path / "a.mp4", (*video, *BT2020), frames=2).entries[0]
    assert coding(own).entries(own, [told], with_source=True)


def test_a_keyframe_of_h265_brings_its_parameters_and_breaks_the_link_where_copying_begins(folder: Path, tmp_path: Path, hevc: Track):
    key = samples(folder / "coding-hevc.mp4", hevc)[int(hevc.samples.is_sync.nonzero()[0][1])]
    part = track(tmp_path / "a.mp4", media.hevc(6, bframes=0), frames=2).entries[0]
    found = coding(hevc.entries[0])
    assert picture_kind(key, 4) == Kind.CRA
    for entry, is_first, kind in ((None, True, Kind.BLA_N_LP), (None, False, Kind.CRA), (part, True, Kind.CRA)):
        made = found.keyframe(key, encoded=entry, is_first=is_first)
        assert made is not None
        record = HevcConfiguration.from_bytes(configuration(entry or hevc.entries[0], b"hvcC") or b"")
        assert picture_kind(made, 4) == kind
        assert [bytes(unit) for unit in nal_units(made, 4)][:3] == list(record.parameters)


def test_a_stream_that_changes_on_its_way_is_found_out(folder: Path, tmp_path: Path, avc: Track, hevc: Track):
    for own, path, other in (
        (avc, "coding-avc.mp4", (*media.gop(6), "-vf", "crop=128:96")),
        (hevc, "coding-hevc.mp4", media.hevc(6, bframes=0)),
    ):
        foreign = track(tmp_path / path, other, frames=2)
        key, record = samples(folder / path, own)[0], coding(foreign.entries[0]).configuration
        sets = record.parameters if isinstance(record, HevcConfiguration) else (*record.sequences, *record.pictures)
        known = coding(own.entries[0])
        assert not carries_other_parameters(known, key)
        assert carries_other_parameters(known, as_sample(sets, 4) + key)


# Static HDR metadata.


@pytest.fixture(scope="module")
def hdr(folder: Path) -> Path:
    return media.make(folder / "coding-hdr.mp4", frames=90, video=(*media.hevc(30, pixels=TEN_BIT, more=HDR10), *BT2020))


def test_hdr_metadata_of_the_source_are_put_into_keyframes_that_lack_them(hdr: Path, tmp_path: Path):
    movie = local_movie(hdr)
    assert movie
    own, key = movie.tracks[0].entries[0], samples(hdr, movie.tracks[0])[0]
    plain = track(tmp_path / "a.mp4", media.hevc(6, pixels=TEN_BIT), frames=2)
    bare = samples(tmp_path / "a.mp4", plain)[0]
    for found in (coding(own), coding(with_configuration(own, b"hvcC", bare_record(own)), key)):
        made = found.keyframe(bare, encoded=plain.entries[0], is_first=True)
        assert made is not None
        assert static_metadata(nal_units(made, 4)) == static_metadata(nal_units(key, 4))
        assert [kind_of(unit) for unit in nal_units(made, 4)][:5] == [32, 33, 34, 39, 39]
        again = found.keyframe(key, encoded=None, is_first=False)
        assert again is not None
        assert sum(kind_of(unit) == 39 for unit in nal_units(again, 4)) == sum(kind_of(unit) == 39 for unit in nal_units(key, 4))


def bare_record(entry: bytes) -> bytes:
    """hvcC without what is no parameter set."""
    record = HevcConfiguration.from_bytes(configuration(entry, b"hvcC") or b"")
    return HevcConfiguration(record.general, tuple(array for array in record.arrays if array.header & 63 != 39)).to_bytes()


async def test_every_frame_of_an_hdr_clip_is_shown_as_hdr(clipper: Clipper, hdr: Path):
    clip = await clipper.cut(hdr, 0.5, 2.5)
    assert (clip.event.cut_path, clip.numbers) == ("smart", list(range(15, 75)))
    sides = [[side for side in frame if "User Data" not in side["side_data_type"]] for frame in side_data(clip.path)]
    assert sides == [sides[0]] * 60 == side_data(hdr)[1:2] * 60
    assert {side["side_data_type"] for side in sides[0]} == {"Mastering display metadata", "Content light level metadata"}


def side_data(path: Path) -> list[list[dict[str, Any]]]:
    command = [media.FFPROBE, "-v", "error", "-select_streams", "v", "-show_frames", "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return [frame.get("side_data_list", []) for frame in told["frames"]]


def test_messages_are_taken_apart_and_escaped_again():
    light = b"\x03\xe8\x01\x90"
    escaped = bytes((137, 24)) + b"\0\0\x03" * 12 + bytes((144, 4)) + light
    unit = PREFIX + bytes((5, 1, 9)) + escaped + b"\x80"
    found = static_metadata([unit])
    assert found == {137: PREFIX + bytes((137, 24)) + b"\0\0\x03" * 11 + b"\0\0" + b"\x80", 144: PREFIX + bytes((144, 4)) + light + b"\x80"}
    assert static_metadata(found.values()) == found


@given(st.lists(st.binary(max_size=60).map(lambda data: PREFIX + data), max_size=4))
def test_any_bytes_are_metadata_or_are_not(units: list[bytes]):
    found = static_metadata(units)
    assert set(found) <= {137, 144}
    assert static_metadata(found.values()) == found
