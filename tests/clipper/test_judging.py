"""The judge itself: a clip that is right passes, and each way of being wrong is found out. All clips are ffmpeg's own."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.builders import uploaded
from tests.clipper.corpus import AAC
from tests.clipper.judging import Asked, Source, faults, source_of
from tests.media import gop

ASKED = Asked("between keyframes", 1.5, 3.0)
ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-movflags", "+faststart+negative_cts_offsets")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    tagged = (*gop(30), "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
    path = media.make(tmp_path_factory.mktemp("judged") / "source.mp4", frames=120, video=tagged, audio=AAC)
    return source_of(path, "mov")


def judged(source: Source, clip: Path, asked: Asked = ASKED, *, path: str = "reencode", **claims: Any) -> str:
    honest = {"size": clip.stat().st_size, "duration": float(media.told(clip, "format=duration")[0])}
    event = uploaded(**honest | {"actual_start": asked.start, "actual_end": asked.end} | claims, cut_path=path)
    return "\n".join(faults(source, asked, event, clip))


def cut(source: Source, clip: Path, *options: str, start: str = "1.5", length: str = "1.5", shown: tuple[str, ...] = ENCODED) -> Path:
    return media.converted(clip, "-ss", start, "-i", str(source.path), "-t", length, *shown, *options)


@pytest.fixture(scope="module")
def right(source: Source) -> Path:
    return cut(source, source.path.with_name("right.mp4"))


def test_a_clip_that_was_encoded_right_is_right(source: Source, right: Path):
    assert judged(source, right) == ""


def test_a_whole_file_that_was_copied_is_right(source: Source, tmp_path: Path):
    whole = media.remuxed(source.path, tmp_path / "whole.mp4", "-movflags", "+faststart+negative_cts_offsets")
    assert judged(source, whole, Asked("all", 0.0, 4.0), path="copy") == ""


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("-vf", "select='not(eq(n,20))'", "-fps_mode", "vfr"), "it shows 44 frames 45-64 66-89"),
        (("-vf", "loop=1:1:20,setpts=N/30/TB"), "it shows 45 frames 45-64 64-88"),
        (("-vf", "setpts=PTS+0.004/TB*mod(N\\,2)", "-fps_mode", "vfr", "-enc_time_base", "1:90000"), "is shown at 1.0373, not at 1.0333"),
        (("-vf", "drawbox=0:50:160:46:gray:fill:enable='eq(n,40)'"), "its pictures are not the source's: [85]"),
        (("-vf", "transpose=1,scale=160:96"), "it shows"),
        (("-af", "adelay=30:all=1"), "there is no beep at"),
        (("-af", "asetrate=46500,aresample=48000"), "there is no beep at"),
        (("-an",), "it has 0.000 s of sound"),
        (("-movflags", "-faststart"), "its index does not come first"),
        (("-t", "1.6"), "it shows 48 frames"),
        (("-t", "1.45"), "it shows 44 frames"),
        (("-color_primaries", "bt470bg"), "it lost {'color_primaries'"),
        (("-vf", "trim=end=1.5", "-t", "1.7"), "its sound reaches"),
    ],
)
def test_a_clip_that_is_encoded_wrong_is_found_out(source: Source, tmp_path: Path, options: tuple[str, ...], fault: str):
    assert fault in judged(source, cut(source, tmp_path / "wrong.mp4", *options))


def test_what_an_edit_list_hides_is_found_out(source: Source, tmp_path: Path):
    found = judged(source, cut(source, tmp_path / "copied.mp4", shown=("-c", "copy", "-movflags", "+faststart")), path="copy")
    assert "ignoring edit lists, it shows" in found
    assert "of them hidden, for 45" in found


def test_frames_that_begin_late_where_edit_lists_are_ignored_are_found_out(source: Source, tmp_path: Path):
    late = cut(source, tmp_path / "late.mp4", shown=("-c:v", "libx264", "-bf", "2", "-movflags", "+faststart"))
    assert "ignoring edit lists, frame" in judged(source, late)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"actual_start": 1.0}, "it says that it starts at 1.0"),
        ({"duration": 2.0}, "it is 1.5"),
        ({"size": 1}, "it is not as large as it says"),
        ({"has_audio": False}, "it says wrongly what it holds"),
    ],
)
def test_untrue_claims_are_found_out(source: Source, right: Path, claims: dict[str, Any], fault: str):
    assert fault in judged(source, right, **claims)


def dead_bytes(data: bytearray) -> None:
    at = data.index(b"mdat") - 4
    struct.pack_into(">I", data, at, len(data) - at + 4000)
    data += bytes(4000)


def damaged_picture(data: bytearray) -> None:
    at = data.index(b"mdat") + 4000
    data[at : at + 300] = bytes(300)


def every_frame_a_keyframe(data: bytearray) -> None:
    data[data.index(b"stss") : data.index(b"stss") + 4] = b"free"


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (dead_bytes, "4000 of its"),
        (damaged_picture, "it does not decode without a word"),
        (every_frame_a_keyframe, "a seek to"),
    ],
)
def test_a_file_that_is_harmed_is_found_out(source: Source, right: Path, tmp_path: Path, harm: Callable[[bytearray], None], fault: str):
    clip, data = tmp_path / "harmed.mp4", bytearray(right.read_bytes())
    harm(data)
    clip.write_bytes(data)
    assert fault in judged(source, clip)


def test_a_copy_keeps_every_tag(source: Source, tmp_path: Path):
    shutil.copy(source.path, tmp_path / "source.mp4")
    untagged = ("-bsf:v", "h264_metadata=colour_primaries=2:transfer_characteristics=2", "-c", "copy", "-movflags", "+faststart")
    bare = media.converted(tmp_path / "bare.mp4", "-i", str(source.path), *untagged)
    assert "it lost {'color_primaries'" in judged(source, bare, Asked("all", 0.0, 4.0), path="copy")


def test_a_fast_copy_begins_at_the_keyframe_before(source: Source, right: Path, tmp_path: Path):
    fast = Asked("off a keyframe", 1.5, 3.0, "fast")
    early = cut(source, tmp_path / "early.mp4", start="1", length="2")
    assert judged(source, early, fast, path="copy", actual_start=1.0) == ""
    assert "it shows 45 frames" in judged(source, right, fast, path="copy")
