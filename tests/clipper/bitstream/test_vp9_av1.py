from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.clipper.bitstream import av1, vp9
from services.clipper.bitstream.nal import BrokenBitstream
from tests.clipper.bitstream.coding import encode

VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-g", "8")
AV1 = {
    "aom": ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "8"),
    "svt": ("-c:v", "libsvtav1", "-preset", "12", "-g", "8"),
}


@pytest.mark.parametrize(
    ("pixel_format", "profile", "depth"), [("yuv420p", 0, 8), ("yuv444p", 1, 8), ("yuv420p10le", 2, 10), ("yuv444p12le", 3, 12)]
)
def test_keyframes_of_vp9_are_known(tmp_path: Path, pixel_format: str, profile: int, depth: int) -> None:
    coded = encode(tmp_path / "a.mp4", *VP9, "-pix_fmt", pixel_format, frames=20)
    headers = [vp9.frame_header(s.data) for s in coded.samples]
    assert [header.is_key for header in headers] == [s.is_key for s in coded.samples]
    assert {(header.profile, header.depth) for header in headers if header.is_key} == {(profile, depth)}
    assert sum(vp9.is_keyframe(s.data) for s in coded.samples) == 3


@pytest.mark.parametrize("encoder", AV1)
def test_places_to_begin_in_av1_are_known(tmp_path: Path, encoder: str) -> None:
    coded = encode(tmp_path / "a.mp4", *AV1[encoder], frames=20)
    begins = [av1.is_random_access(s.data) for s in coded.samples]
    assert begins == [s.is_key for s in coded.samples]
    assert sum(begins) == 3


def test_a_keyframe_of_av1_without_its_sequence_header_is_no_place_to_begin(tmp_path: Path) -> None:
    sample = encode(tmp_path / "a.mp4", *AV1["aom"], frames=1).samples[0].data
    kinds = [kind for kind, _ in av1.units(sample)]
    assert kinds[0] == av1.Kind.SEQUENCE_HEADER
    assert not av1.is_random_access(sample[2 + sample[1] :])


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_unit_of_av1_or_are_broken(sample: bytes) -> None:
    try:
        begins = av1.is_random_access(sample)
    except BrokenBitstream:
        return
    assert begins in (True, False)


@settings(deadline=None)
@given(st.binary(max_size=20))
def test_any_bytes_are_a_frame_of_vp9_or_are_broken(frame: bytes) -> None:
    try:
        header = vp9.frame_header(frame)
    except BrokenBitstream:
        return
    assert header.is_key == (header.depth in (8, 10, 12))
