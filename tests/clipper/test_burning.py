"""burn_subtitles on real ffmpeg, libass and S3: the picture changes where a cue is shown, and nowhere else."""

import subprocess
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from tests import media
from tests.clipper.running import Clipper

SRT = "1\n00:00:01,000 --> 00:00:02,000\nHello {\\an8} brave\nnew world\n"
SIZE = media.WIDTH * media.HEIGHT


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return media.make(folder / "clip.mp4", frames=90)


def gray(path: Path) -> list[bytes]:
    output = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    raw = subprocess.run([media.FFMPEG, "-v", "error", "-i", str(path), *output], capture_output=True, check=True, timeout=30).stdout
    return [raw[n : n + SIZE] for n in range(0, len(raw), SIZE)]


def changed(one: bytes, other: bytes) -> int:
    """Pixels that differ for everyone to see."""
    return sum(abs(a - b) > 60 for a, b in zip(one, other, strict=True))


async def test_subtitles_are_seen_while_their_cue_lasts(clipper: Clipper, clip: Path):
    event, burned = await clipper.burned(clip, SRT)
    before, after = gray(clip), gray(burned)
    assert len(before) == len(after) == 90
    assert all(changed(before[n], after[n]) > 50 for n in range(31, 59))
    assert all(changed(before[n], after[n]) < 5 for n in (*range(29), *range(61, 90)))
    assert event.size == burned.stat().st_size


async def test_text_cannot_move_itself(clipper: Clipper, clip: Path):
    _, burned = await clipper.burned(clip, SRT)
    upper = SIZE // 3
    assert changed(gray(clip)[45][:upper], gray(burned)[45][:upper]) < 5


async def test_the_sound_is_taken_over_as_it_is(clipper: Clipper, clip: Path):
    _, burned = await clipper.burned(clip, SRT)
    assert media.told(burned, "packet=size,pts_time", "-select_streams", "a") == media.told(
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
