from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.bitstream import h264
from services.clipper.bitstream.h264_configuration import AvcConfiguration, free_parameter_ids, merged
from services.clipper.bitstream.h264_parameters import picture_parameters, sequence_parameters
from services.clipper.bitstream.nal import BrokenBitstream, as_sample, nal_units
from services.clipper.bitstream.random_access import RandomAccess, random_access
from tests.clipper.bitstream.coding import Coded, encode, later, mux, pictures, probed, traced, x264

KINDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "baseline": ("", ("-profile:v", "baseline"), "128x80"),
    "main": ("", ("-profile:v", "main"), "128x80"),
    "high": ("ref=5:bframes=4:b-pyramid=normal", ("-level", "5.1"), "128x80"),
    "high, all kept apart": ("cqm=jvt:nal-hrd=cbr:vbv-maxrate=500:vbv-bufsize=500", ("-b:v", "500k"), "128x80"),
    "high 10": ("", ("-pix_fmt", "yuv420p10le"), "128x80"),
    "high 4:2:2": ("", ("-pix_fmt", "yuv422p"), "130x82"),
    "high 4:2:2, 10 bit": ("", ("-pix_fmt", "yuv422p10le"), "128x80"),
    "high 4:4:4": ("cqm=jvt", ("-pix_fmt", "yuv444p"), "127x81"),
    "interlaced": ("", ("-flags", "+ildct+ilme"), "128x80"),
    "interlaced, odd size": ("", ("-flags", "+ildct+ilme"), "126x76"),
    "odd size": ("", (), "322x182"),
    "full range": ("", ("-pix_fmt", "yuvj420p"), "128x80"),
    "coloured": ("colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:sar=4/3:overscan=show", (), "128x80"),
    "open GOP": ("open-gop=1:keyint=8:bframes=3", (), "128x80"),
    "of another id": ("sps-id=5", (), "128x80"),
    "intra only": ("keyint=1", (), "128x80"),
    "many slices": ("slices=4:aud=1", (), "128x80"),
}


@pytest.fixture(scope="module", params=KINDS)
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Coded:
    params, options, size = KINDS[request.param]
    return x264(tmp_path_factory.mktemp("h264") / "a.mp4", *options, params=params, size=size, frames=12)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Coded:
    """48 frames, a keyframe at each twelfth, B-frames two deep."""
    return x264(tmp_path_factory.mktemp("plain") / "a.mp4", params="keyint=12:min-keyint=12:scenecut=0:bframes=3", frames=48)


def configured(coded: Coded) -> AvcConfiguration:
    return AvcConfiguration.from_bytes(coded.configuration)


def test_a_configuration_is_written_as_it_was_read(coded: Coded) -> None:
    assert configured(coded).to_bytes() == coded.configuration


def test_pictures_are_as_ffmpeg_says(coded: Coded) -> None:
    picture, said = configured(coded).pictured(), probed(coded.path)
    assert (picture.pixel_format, picture.width, picture.height) == (said["pix_fmt"], said["width"], said["height"])


def test_level_and_reordering_are_as_ffmpeg_says(coded: Coded) -> None:
    sequence, said = sequence_parameters(configured(coded).sequences[0]), probed(coded.path)
    assert (sequence.level, sequence.max_reordered or 0) == (said["level"], said["has_b_frames"])


def test_samples_are_as_ffmpeg_says(coded: Coded) -> None:
    size = configured(coded).length_size
    assert [h264.is_idr(s.data, size) for s in coded.samples] == [kind == 5 for kind in traced(coded.path, "nal_unit_type")]
    assert [h264.is_reference(s.data, size) for s in coded.samples] == [idc > 0 for idc in traced(coded.path, "nal_ref_idc")]


def test_colours_are_told(tmp_path: Path) -> None:
    params, _, _ = KINDS["coloured"]
    colour = configured(x264(tmp_path / "a.mp4", params=params, frames=1)).pictured().colour
    assert (colour.primaries, colour.transfer, colour.matrix, colour.is_full_range) == (9, 16, 9, False)


def test_interlaced_sequences_are_known(tmp_path: Path) -> None:
    fields = configured(x264(tmp_path / "a.mp4", "-flags", "+ildct+ilme", frames=1))
    assert not sequence_parameters(fields.sequences[0]).frames_only


def test_an_rgb_picture_is_known(tmp_path: Path) -> None:
    coded = encode(tmp_path / "a.mp4", "-c:v", "libx264rgb", frames=1)
    assert configured(coded).pictured().pixel_format == "gbrp" == probed(coded.path)["pix_fmt"]


@pytest.mark.parametrize("name", ["gray", "gray10le"])
def test_a_gray_picture_is_known(tmp_path: Path, name: str) -> None:
    """ffmpeg decodes these to 4:2:0, but what it has to encode to fit in is gray."""
    assert configured(x264(tmp_path / "a.mp4", "-pix_fmt", name, frames=1)).pictured().pixel_format == name


def test_an_open_gop_of_h264_is_no_place_to_begin(tmp_path: Path) -> None:
    coded = x264(tmp_path / "a.mp4", params="open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3", frames=24)
    accesses = [random_access(s.data, "h264", configured(coded).length_size) for s in coded.samples]
    assert accesses == [RandomAccess.CLEAN] + [RandomAccess.NONE] * 23


def test_an_id_is_free_that_neither_a_sequence_nor_a_picture_has(plain: Coded, tmp_path: Path) -> None:
    other = x264(tmp_path / "b.mp4", params="sps-id=1", frames=1)
    assert (free_parameter_ids(configured(plain))[:2], free_parameter_ids(configured(other))[:2]) == ([1, 2], [0, 2])
    both = merged(configured(plain), configured(other))
    assert free_parameter_ids(both) == list(range(2, 32))
    assert free_parameter_ids(replace(both, sequences=both.sequences[:1])) == list(range(2, 32))


def test_no_id_is_free_when_all_are_used(plain: Coded) -> None:
    def of_id(number: int) -> bytes:
        code = f"{number + 1:b}"
        bits = ("0" * (len(code) - 1) + code + "11").ljust(16, "0")
        return bytes((0x68, *int(bits, 2).to_bytes(2)))

    full = replace(configured(plain), pictures=tuple(of_id(number) for number in range(32)))
    assert [picture_parameters(unit).id for unit in full.pictures] == list(range(32))
    assert free_parameter_ids(full) == []
    assert free_parameter_ids(replace(full, pictures=full.pictures[:7] + full.pictures[8:])) == [7]


HEADS = {
    "like the source": ((), "bframes=3"),
    "without B-frames": ((), "bframes=0"),
    "deeper": (("-preset", "slow"), "bframes=8:b-adapt=0:b-pyramid=normal:ref=8"),
    "main": (("-profile:v", "main"), ""),
    "baseline": (("-profile:v", "baseline"), ""),
    "of a higher level": (("-level", "4.2"), ""),
}


HEADS_OF = [
    pytest.param(head, frames, marks=() if frames == (1, 5)[n % 2] else pytest.mark.thorough)
    for n, head in enumerate(HEADS)
    for frames in (1, 5)
]


@pytest.mark.parametrize(("head", "frames"), HEADS_OF)
def test_a_head_of_another_id_and_copied_samples_decode_together(plain: Coded, tmp_path: Path, head: str, frames: int) -> None:
    options, params = HEADS[head]
    first = x264(tmp_path / "head.mp4", *options, params=f"sps-id=1:{params}", frames=frames, skip=12 - frames)
    copied = later((s for s in plain.samples if s.time >= 12), frames - 12)
    both = merged(configured(plain), configured(first))
    joined = mux(tmp_path / "joined.mp4", plain, both.to_bytes(), [*first.samples, *copied])
    assert AvcConfiguration.from_bytes(both.to_bytes()) == both
    assert pictures(joined) == pictures(first.path) + pictures(plain.path)[12:]
    assert pictures(joined, "-ss", f"{(frames + 18) / 25}") == pictures(plain.path)[30:]


def test_copied_samples_and_a_tail_decode_together(plain: Coded, tmp_path: Path) -> None:
    tail = x264(tmp_path / "tail.mp4", params="sps-id=1", frames=4, skip=24)
    copied = [s for s in plain.samples if s.time < 24]
    configuration = merged(configured(plain), configured(tail)).to_bytes()
    joined = mux(tmp_path / "joined.mp4", plain, configuration, [*copied, *later(tail.samples, 24)])
    assert pictures(joined) == pictures(plain.path)[:24] + pictures(tail.path)
    assert pictures(joined, "-ss", f"{26 / 25}") == pictures(tail.path)[2:]


def test_a_merged_configuration_is_of_the_greater_profile_and_level(plain: Coded, tmp_path: Path) -> None:
    main = configured(x264(tmp_path / "a.mp4", "-profile:v", "main", "-level", "4.2", params="sps-id=1", frames=1))
    for both in (merged(configured(plain), main), merged(main, configured(plain))):
        assert (both.profile, both.level, both.compatibility) == (100, 42, 0)
        assert both.format == configured(plain).format


def test_a_main_and_a_baseline_configuration_need_no_format(tmp_path: Path) -> None:
    main = configured(x264(tmp_path / "a.mp4", "-profile:v", "main", frames=1))
    baseline = configured(x264(tmp_path / "b.mp4", "-profile:v", "baseline", params="sps-id=1", frames=1))
    assert (merged(main, baseline).profile, merged(main, baseline).format) == (77, None)


def test_merging_with_itself_changes_nothing(coded: Coded) -> None:
    assert merged(configured(coded), configured(coded)) == configured(coded)


def test_one_id_with_two_meanings_is_refused(plain: Coded, tmp_path: Path) -> None:
    other = configured(x264(tmp_path / "a.mp4", params="bframes=0:ref=1", frames=1))
    with pytest.raises(BrokenBitstream, match="of id 0"):
        merged(configured(plain), other)


@pytest.mark.parametrize(
    ("options", "size"),
    [(("-pix_fmt", "yuv422p"), "128x80"), (("-pix_fmt", "yuv420p10le"), "128x80"), (("-pix_fmt", "yuvj420p"), "128x80"), ((), "128x78")],
)
def test_pictures_that_differ_are_refused(plain: Coded, tmp_path: Path, options: tuple[str, ...], size: str) -> None:
    other = configured(x264(tmp_path / "a.mp4", *options, params="sps-id=1", size=size, frames=1))
    with pytest.raises(BrokenBitstream, match="is not"):
        merged(configured(plain), other)


def test_lengths_of_different_sizes_are_refused(plain: Coded) -> None:
    with pytest.raises(BrokenBitstream, match="lengths"):
        merged(configured(plain), replace(configured(plain), length_size=2))


def test_profiles_of_which_none_decodes_the_other_are_refused(plain: Coded) -> None:
    with pytest.raises(BrokenBitstream, match="profile"):
        merged(configured(plain), replace(configured(plain), profile=88))


def test_only_parameters_that_the_configuration_lacks_count_as_carried(plain: Coded, tmp_path: Path) -> None:
    configuration, sample = configured(plain), plain.samples[0].data
    other = configured(x264(tmp_path / "a.mp4", params="bframes=0:ref=1", frames=1))

    def with_set(unit: bytes) -> bytes:
        return as_sample((unit, *nal_units(sample, 4)), 4)

    assert not h264.carries_parameters(sample, configuration)
    assert not h264.carries_parameters(with_set(configuration.sequences[0] + b"\0"), configuration)
    assert h264.carries_parameters(with_set(other.sequences[0]), configuration)
    assert h264.carries_parameters(with_set(other.pictures[0]), configuration)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_make_a_configuration_or_are_broken(record: bytes) -> None:
    try:
        configuration = AvcConfiguration.from_bytes(b"\1" + record)
        configuration.pictured()
        free_parameter_ids(configuration)
        merged(configuration, configuration)
    except BrokenBitstream:
        return
    assert AvcConfiguration.from_bytes(configuration.to_bytes()) == configuration


@settings(deadline=None)
@given(st.data())
def test_a_damaged_configuration_is_still_one_or_is_broken(plain: Coded, data: st.DataObject) -> None:
    record = bytearray(plain.configuration)
    for place in data.draw(st.lists(st.integers(0, len(record) - 1), min_size=1, max_size=4)):
        record[place] = data.draw(st.integers(0, 255))
    try:
        picture = AvcConfiguration.from_bytes(bytes(record)).pictured()
    except BrokenBitstream:
        return
    assert 0 < picture.width <= 65_552
    assert 0 < picture.height <= 131_104


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(1, 4))
def test_any_bytes_are_a_sample_or_are_broken(sample: bytes, length_size: int) -> None:
    try:
        access = random_access(sample, "h264", length_size)
        is_reference = h264.is_reference(sample, length_size)
    except BrokenBitstream:
        return
    assert (access, is_reference) in {(a, r) for a in (RandomAccess.CLEAN, RandomAccess.NONE) for r in (True, False)}
