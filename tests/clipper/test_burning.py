"""burn_subtitles on real ffmpeg, libass and S3: the picture changes where a cue is shown, and nowhere else."""

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from libs.common.domain.events import ClipBurned
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.object_store import ObjectStore
from services.clipper.rendering import Tools
from tests import media
from tests.clipper.playing import pixels
from tests.clipper.running import Clipper

JSON = b"""{"language": "en", "duration": 3.0, "words": [], "cues": [{"start": 1.0, "end": 2.0, "direction": "ltr", "lines": ["HH HH"],
"words": [[{"word": "HH", "start": 1.0, "end": 1.2}, {"word": "HH", "start": 1.5, "end": 1.8}]]}]}"""
PQ = ("-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv")
SDR = ("-vf", "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv")
COLOURS = "stream=codec_name,pix_fmt,color_range,color_space,color_transfer,color_primaries"
SRT = "1\n00:00:01,000 --> 00:00:02,000\nHello {\\an8} brave\nnew world\n"
SIZE = media.WIDTH * media.HEIGHT


class Drawn(NamedTuple):
    """What became of the clip and its subtitles."""

    event: ClipBurned
    path: Path


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return media.make(folder / "clip.mp4", frames=90)


@pytest.fixture(scope="module")
async def drawn(objects: ObjectStore, servers: dict[str, str], tools: Tools, tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Drawn:
    return Drawn(*(await Clipper(objects, servers, tmp_path_factory.mktemp("drawn"), tools).burned(clip, SRT)))


def gray(path: Path) -> NDArray[np.int16]:
    """A row for each picture."""
    output = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    raw = subprocess.run([media.FFMPEG, "-v", "error", "-i", str(path), *output], capture_output=True, check=True, timeout=30).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE).astype(np.int16)


def colours(path: Path) -> list[str]:
    return media.told(path, COLOURS, "-select_streams", "v")[0].split(",")


def changed(one: NDArray[np.int16], other: NDArray[np.int16]) -> int:
    """Pixels that differ for everyone to see."""
    return int((np.abs(one - other) > 60).sum())


def test_subtitles_are_seen_while_their_cue_lasts(clip: Path, drawn: Drawn):
    before, after = gray(clip), gray(drawn.path)
    assert len(before) == len(after) == 90
    assert all(changed(before[n], after[n]) > 50 for n in range(31, 59))
    assert all(changed(before[n], after[n]) < 5 for n in (*range(29), *range(61, 90)))
    assert drawn.event.size == drawn.path.stat().st_size


def test_text_cannot_move_itself(clip: Path, drawn: Drawn):
    upper = SIZE // 3
    assert changed(gray(clip)[45][:upper], gray(drawn.path)[45][:upper]) < 5


def test_the_sound_is_taken_over_as_it_is(clip: Path, drawn: Drawn):
    assert media.told(drawn.path, "packet=size,pts_time", "-select_streams", "a") == media.told(
        clip, "packet=size,pts_time", "-select_streams", "a"
    )


async def test_a_fonts_folder_may_have_any_name(clipper: Clipper, clip: Path, tmp_path: Path):
    fonts = tmp_path / "a folder's [fonts]: 100%,"
    fonts.mkdir()
    _, burned = await clipper.burned(clip, SRT, FONTS_DIR=str(fonts))
    assert changed(gray(clip)[45], gray(burned)[45]) > 50


async def test_a_turned_clip_is_drawn_upright(clipper: Clipper, clip: Path, folder: Path):
    turned = media.turned(media.remuxed(clip, folder / "turned.mp4"))
    _, burned = await clipper.burned(turned, SRT)
    assert media.told(burned, "stream=width,height", "-select_streams", "v") == ["96,160"]
    before, after = gray(turned)[45], gray(burned)[45]
    assert changed(before[: SIZE // 2], after[: SIZE // 2]) < 5 < changed(before[SIZE // 2 :], after[SIZE // 2 :])


async def test_frames_keep_their_own_times(clipper: Clipper, folder: Path):
    dropped = ("-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    clip = media.make(folder / "vfr.mp4", frames=90, video=(*media.gop(30), *dropped))
    _, burned = await clipper.burned(clip, SRT)
    assert sorted(map(float, media.told(burned, "packet=pts_time", "-select_streams", "v"))) == pytest.approx(
        sorted(map(float, media.told(clip, "packet=pts_time", "-select_streams", "v"))), abs=0.0005
    )


async def test_the_words_of_the_json_are_lit_one_after_the_other(clipper: Clipper, folder: Path):
    _, burned = await clipper.burned(gray_clip(folder / "gray.mp4"), SRT, document=JSON, style="karaoke")
    assert lit_at(burned, 1.35) < 320 < lit_at(burned, 1.75)


async def test_letters_are_as_wide_as_they_should_be_where_pixels_are_not_square(clipper: Clipper, folder: Path):
    _, square = await clipper.burned(gray_clip(folder / "square.mp4"), SRT)
    _, stretched = await clipper.burned(gray_clip(folder / "stretched.mp4", size="320x360", more=("-vf", "setsar=2")), SRT)
    left, right = drawn_between(square, 640)
    assert drawn_between(stretched, 320) == (pytest.approx(left / 2, abs=3), pytest.approx(right / 2, abs=3))
    assert media.told(stretched, "stream=sample_aspect_ratio", "-select_streams", "v") == ["2:1"]


def drawn_between(path: Path, width: int) -> tuple[int, int]:
    """The outermost columns of the text, of so many."""
    command = [media.FFMPEG, "-v", "error", "-ss", "1.5", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    columns = np.flatnonzero((np.frombuffer(raw, np.uint8).reshape(360, width) > 200).any(axis=0))
    return int(columns[0]), int(columns[-1])


def gray_clip(path: Path, *, size: str = "640x360", more: tuple[str, ...] = ()) -> Path:
    source = ("-f", "lavfi", "-i", f"color=c=gray:s={size}:r=10:d=2", *media.gop(10), *more)
    subprocess.run([media.FFMPEG, "-v", "error", "-y", *source, str(path)], check=True, timeout=30)
    return path


def lit_at(path: Path, second: float) -> float:
    """Where from the left the yellow of the picture is, in the middle, of 640 pixels."""
    picture = pixels(path, second)
    return float(np.nonzero((picture[..., 0] > 200) & (picture[..., 2] < 110))[1].mean())


async def test_a_glyph_that_no_font_has_is_a_warning(clipper: Clipper, clip: Path, drawn: Drawn):
    event, _ = await clipper.burned(clip, SRT.replace("brave", "𓀀 brave 𓀀"))
    assert [(notice.code, "𓀀 (U+13000)" in notice.message) for notice in event.warnings] == [("MISSING_GLYPHS", True)]
    assert drawn.event.warnings == ()


async def test_what_the_colours_mean_is_told_on(clipper: Clipper, folder: Path):
    clip = media.make(folder / "sdr.mp4", frames=60, video=(*media.gop(30), *SDR))
    _, burned = await clipper.burned(clip, SRT)
    assert colours(burned) == colours(clip) == ["h264", "yuv420p", "tv", "bt709", "bt709", "bt709"]


async def test_hdr_stays_hdr_and_its_white_is_paper(clipper: Clipper, folder: Path):
    clip = media.make(folder / "hdr.mp4", frames=60, video=(*media.hevc(30, pixels="yuv420p10le"), *PQ))
    _, burned = await clipper.burned(clip, SRT, style="bold", SUBTITLE_SIZE="16", SUBTITLE_SAFE_AREA="0")
    assert colours(burned) == colours(clip) == ["hevc", "yuv420p10le", "tv", "bt2020nc", "smpte2084", "bt2020"]
    before, after = gray(clip)[45], gray(burned)[45]
    assert 120 < after[np.abs(after - before) > 30].max() < 190


@pytest.mark.parametrize(("srt", "cues"), [("", 0), ("1\n00:00:01,000 --> 00:00:02,000\n🎉\n", 1)])
async def test_without_words_to_draw_the_clip_is_copied(clipper: Clipper, clip: Path, srt: str, cues: int):
    event, burned = await clipper.burned(clip, srt, cues=cues)
    assert burned.read_bytes() == clip.read_bytes()
    assert event.size == clip.stat().st_size


async def test_a_clip_that_does_not_decode_fails_for_good(clipper: Clipper, tmp_path: Path):
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    with pytest.raises(Failure) as failed:
        await clipper.burned(tmp_path / "junk.mp4", SRT)
    assert failed.value.code is Code.SOURCE_UNREADABLE


@pytest.mark.parametrize("audio", [None, ("-c:a", "aac")])
async def test_the_last_picture_of_uneven_ones_stays_as_long_as_in_the_clip(clipper: Clipper, folder: Path, audio: tuple[str, ...] | None):
    slides = ("-vf", "select='lt(mod(n,50),2)'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "slides-b.mkv", frames=150, video=(*media.gop(10), *slides), audio=audio)
    clip = await clipper.cut(source, 0.0, 3.0)
    _, burned = await clipper.burned(clip.path, SRT)
    assert len(gray(burned)) == len(gray(clip.path)) == 4
    [lasts] = map(float, media.told(burned, "stream=duration", "-select_streams", "v"))
    assert lasts == pytest.approx(clip.event.duration, abs=0.01)
