from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.bitstream import hevc
from services.clipper.bitstream.hevc_configuration import HevcConfiguration
from services.clipper.bitstream.hevc_nal import Kind
from services.clipper.bitstream.nal import BrokenBitstream, as_sample, nal_units
from services.clipper.bitstream.random_access import RandomAccess, random_access
from tests.clipper.bitstream.coding import Coded, Sample, later, mux, pictures, probed, traced, x265

KEYS = "keyint=12:min-keyint=12:scenecut=0:bframes=3"
KINDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "closed GOP": (f"{KEYS}:open-gop=0", (), "128x80"),
    "open GOP": (f"{KEYS}:open-gop=1:b-pyramid=1", (), "128x80"),
    "open GOP with decodable leading pictures": (f"{KEYS}:open-gop=0:radl=2", (), "128x80"),
    "sub-layers": (f"{KEYS}:temporal-layers=1:b-pyramid=1:b-adapt=0", (), "128x80"),
    "10 bit": ("", ("-pix_fmt", "yuv420p10le"), "128x80"),
    "4:2:2, 10 bit": ("", ("-pix_fmt", "yuv422p10le"), "130x82"),
    "4:4:4": ("scaling-list=default", ("-pix_fmt", "yuv444p"), "127x81"),
    "12 bit": ("", ("-pix_fmt", "yuv420p12le"), "128x80"),
    "gray": ("", ("-pix_fmt", "gray"), "128x80"),
    "odd size": ("", (), "322x182"),
    "full range": ("range=full:ref=5:bframes=8:rc-lookahead=20", (), "128x80"),
    "coloured": ("colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:sar=4:overscan=show", (), "128x80"),
    "delimited": ("aud=1:hrd=1:vbv-maxrate=500:vbv-bufsize=500:bitrate=300", (), "128x80"),
    "intra only": ("keyint=1", (), "128x80"),
    "lossless": ("lossless=1", (), "128x80"),
}
SAMPLES = st.binary(max_size=100) | st.lists(st.binary(min_size=1, max_size=9)).map(lambda units: as_sample(units, 4))


@pytest.fixture(scope="module", params=KINDS)
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Coded:
    params, options, size = KINDS[request.param]
    return x265(tmp_path_factory.mktemp("hevc") / "a.mp4", *options, params=params, size=size, frames=30)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Coded:
    """48 frames, a keyframe that is a CRA about every 12."""
    return x265(tmp_path_factory.mktemp("open") / "a.mp4", params=f"{KEYS}:open-gop=1:b-adapt=0", frames=48)


def configured(coded: Coded) -> HevcConfiguration:
    return HevcConfiguration.from_bytes(coded.configuration)


def kinds(coded: Coded) -> list[int]:
    return [hevc.picture_kind(s.data, configured(coded).length_size) for s in coded.samples]


def test_a_configuration_is_written_as_it_was_read(coded: Coded) -> None:
    assert configured(coded).to_bytes() == coded.configuration


def test_pictures_are_as_ffmpeg_says(coded: Coded) -> None:
    sequence, said = configured(coded).sequence(), probed(coded.path)
    picture = sequence.picture
    assert (picture.pixel_format, picture.width, picture.height) == (said["pix_fmt"], said["width"], said["height"])
    assert sequence.max_reordered == said["has_b_frames"]


def test_samples_are_as_ffmpeg_says(coded: Coded) -> None:
    assert kinds(coded) == traced(coded.path, "nal_unit_type")


def test_colours_are_told(tmp_path: Path) -> None:
    params, _, _ = KINDS["coloured"]
    colour = configured(x265(tmp_path / "a.mp4", params=params, frames=1)).pictured().colour
    assert (colour.primaries, colour.transfer, colour.matrix, colour.is_full_range) == (9, 16, 9, False)


def test_where_copying_may_begin(opened: Coded) -> None:
    accesses = [random_access(s.data, "hevc", 4) for s in opened.samples]
    assert accesses[0] in (RandomAccess.CLEAN, RandomAccess.OPEN)
    assert accesses.count(RandomAccess.OPEN) >= 3
    assert [a != RandomAccess.NONE for a in accesses] == [s.is_key for s in opened.samples]


def test_an_idr_is_clean(tmp_path: Path) -> None:
    closed = x265(tmp_path / "a.mp4", params=f"{KEYS}:open-gop=0", frames=24)
    accesses = {s.time: random_access(s.data, "hevc", 4) for s in closed.samples}
    assert [time for time, access in accesses.items() if access == RandomAccess.CLEAN] == [0, 12]
    assert RandomAccess.OPEN not in accesses.values()


def test_pictures_that_none_needs_can_be_left_out(opened: Coded, tmp_path: Path) -> None:
    layers = configured(opened).sequence().sub_layers
    needed = [s for s in opened.samples if hevc.is_reference(s.data, 4, layers)]
    assert 0 < len(needed) < 40
    whole, thin = pictures(opened.path), pictures(mux(tmp_path / "thin.mp4", opened, opened.configuration, needed))
    assert thin == [whole[time] for time in sorted(s.time for s in needed)]


def test_what_a_higher_sub_layer_may_need_is_a_reference(tmp_path: Path) -> None:
    layered = x265(tmp_path / "a.mp4", params=KINDS["sub-layers"][0], frames=24)
    layers = configured(layered).sequence().sub_layers
    assert layers > 1
    found = {(layer, hevc.is_reference(s.data, 4, layers)) for s in layered.samples for layer in [sub_layer(s)] if kind(s) % 2 == 0}
    assert all(is_reference for layer, is_reference in found if layer < layers)
    assert (layers, False) in found


def kind(sample: Sample) -> int:
    return hevc.picture_kind(sample.data, 4)


def sub_layer(sample: Sample) -> int:
    return next(unit[1] & 7 for unit in nal_units(sample.data, 4) if unit[0] >> 1 < Kind.VIDEO_PARAMETERS)


@pytest.mark.parametrize("params", ["bframes=3:open-gop=0", "bframes=0:ref=1", "bframes=8:rc-lookahead=20:ref=6:b-adapt=0:no-sao=1"])
def test_copying_begins_at_a_cra_after_another_encoders_head(opened: Coded, tmp_path: Path, params: str) -> None:
    key, following = copied_from(opened, 12)
    head = x265(tmp_path / "head.mp4", "-preset", "medium", params=params, frames=5, skip=key.time - 5)
    joined = mux(tmp_path / "joined.mp4", head, head.configuration, [*head.samples, *later([link(opened, key), *following], 5 - key.time)])
    rest = pictures(opened.path)[key.time :]
    assert pictures(joined) == pictures(head.path) + rest
    assert pictures(joined, "-ss", f"{8 / 25}") == rest[3:]


def test_a_later_keyframe_with_parameters_in_band_can_be_sought(opened: Coded, tmp_path: Path) -> None:
    key, following = copied_from(opened, 12)
    configuration = configured(opened)
    carried = [with_set(s, configuration) for s in following]
    head = x265(tmp_path / "head.mp4", params="bframes=0:ref=1", frames=5, skip=key.time - 5)
    joined = mux(tmp_path / "joined.mp4", head, head.configuration, [*head.samples, *later([link(opened, key), *carried], 5 - key.time)])
    late = next(s.time for s in following if s.is_key)
    assert pictures(joined, "-ss", f"{(late - key.time + 5 + 4) / 25}") == pictures(opened.path)[late + 4 :]


def test_a_raw_stream_of_head_and_broken_link_decodes_without_a_complaint(opened: Coded, tmp_path: Path) -> None:
    key, following = copied_from(opened, 12)
    head = x265(tmp_path / "head.mp4", params="bframes=2", frames=5, skip=key.time - 5)
    raw = tmp_path / "joined.hevc"
    begun = Sample(hevc.with_parameters(head.samples[0].data, configured(head)), 0, is_key=True)
    units = [u for s in [begun, *head.samples[1:], link(opened, key), *following] for u in nal_units(s.data, 4)]
    raw.write_bytes(b"".join(b"\0\0\0\1" + bytes(unit) for unit in units))
    assert pictures(raw) == pictures(head.path) + pictures(opened.path)[key.time :]


def copied_from(coded: Coded, time: int) -> tuple[Sample, list[Sample]]:
    """The first CRA at or after a time, and what follows it but for the pictures that need what came before it."""
    place = next(n for n, s in enumerate(coded.samples) if s.time >= time and kind(s) == Kind.CRA)
    key, *following = coded.samples[place:]
    left = [s for s in following if not (kind(s) in (Kind.RASL_N, Kind.RASL_R) and s.time < key.time)]
    assert len(left) < len(following)
    return key, left


def link(coded: Coded, key: Sample) -> Sample:
    return with_set(Sample(hevc.as_broken_link(key.data, 4), key.time, is_key=True), configured(coded))


def with_set(sample: Sample, configuration: HevcConfiguration) -> Sample:
    return Sample(hevc.with_parameters(sample.data, configuration), sample.time, sample.is_key) if sample.is_key else sample


def test_only_the_cra_slices_change_in_a_broken_link(opened: Coded) -> None:
    key, _ = copied_from(opened, 12)
    changed = hevc.as_broken_link(key.data, 4)
    assert hevc.picture_kind(changed, 4) == Kind.BLA_N_LP
    assert random_access(changed, "hevc", 4) == RandomAccess.CLEAN
    assert sum(a != b for a, b in zip(changed, key.data, strict=True)) == 1
    assert hevc.as_broken_link(changed, 4) == changed


def test_parameters_stand_after_the_delimiter(opened: Coded) -> None:
    configuration = configured(opened)
    delimiter, parameters = bytes((Kind.ACCESS_UNIT_DELIMITER << 1, 1, 0x50)), list(configuration.parameters)
    units = [bytes(unit) for unit in nal_units(opened.samples[0].data, 4)]
    delimited = hevc.with_parameters(as_sample([delimiter, *units], 4), configuration)
    assert [bytes(unit) for unit in nal_units(delimited, 4)] == [delimiter, *parameters, *units]
    assert [hevc.kind_of(unit) for unit in parameters] == [Kind.VIDEO_PARAMETERS, Kind.SEQUENCE_PARAMETERS, Kind.PICTURE_PARAMETERS]


def test_only_parameters_that_the_configuration_lacks_count_as_carried(opened: Coded, tmp_path: Path) -> None:
    configuration, sample = configured(opened), opened.samples[0].data
    other = configured(x265(tmp_path / "a.mp4", params="bframes=0:ref=1", frames=1))
    assert not hevc.carries_parameters(sample, configuration)
    assert not hevc.carries_parameters(hevc.with_parameters(sample, configuration), configuration)
    assert hevc.carries_parameters(hevc.with_parameters(sample, other), configuration)


def test_kinds_are_told_apart() -> None:
    assert [k for k in range(64) if hevc.is_random_access(k)] == list(range(16, 24))
    assert [k for k in range(64) if hevc.is_idr(k)] == [19, 20]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_make_a_configuration_or_are_broken(record: bytes) -> None:
    try:
        configuration = HevcConfiguration.from_bytes(b"\1" + record)
    except BrokenBitstream:
        return
    assert HevcConfiguration.from_bytes(configuration.to_bytes()) == configuration


@settings(deadline=None)
@given(st.data())
def test_a_damaged_configuration_is_still_one_or_is_broken(opened: Coded, data: st.DataObject) -> None:
    record = bytearray(opened.configuration[:200])
    for place in data.draw(st.lists(st.integers(0, len(record) - 1), min_size=1, max_size=4)):
        record[place] = data.draw(st.integers(0, 255))
    try:
        picture = HevcConfiguration.from_bytes(bytes(record) + opened.configuration[200:]).pictured()
    except BrokenBitstream:
        return
    assert 0 < picture.width <= 65_535
    assert 0 < picture.height <= 65_535


@settings(deadline=None)
@given(SAMPLES, st.sampled_from([1, 2, 4]))
def test_any_bytes_are_a_sample_or_are_broken(sample: bytes, length_size: int) -> None:
    try:
        access = random_access(sample, "hevc", length_size)
        hevc.is_reference(sample, length_size, 1)
        changed = hevc.as_broken_link(sample, length_size)
    except BrokenBitstream:
        return
    assert access in RandomAccess
    assert len(changed) == len(sample)
