"""Renditions of real clips: decoded, counted, looked at and listened to."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import media
from tests.builders import requested
from tests.clipper.playing import held_in, pixels
from tests.clipper.running import Clipped, Clipper
from tests.clipper.test_burning import PQ
from tests.clipper.test_cutting import times_of

IN_STEP = 0.020
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def is_near(pixel: NDArray[np.int16], colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel - colour).max() < 25)


def thirds(path: Path, *, size: str = "640x360", turn: str = "") -> Path:
    """A second of red, green and blue from left to right, each a third; and a sound."""
    width, height = map(int, size.split("x"))
    bars = [
        f"drawbox=x={width * n // 3}:w={width // 3}:h={height}:color={colour}:t=fill" for n, colour in enumerate(("red", "lime", "blue"))
    ]
    picture = f"color=black:s={size}:r=10:d=1,{','.join(bars)}{turn}"
    sound = ("-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    return media.converted(path, "-f", "lavfi", "-i", picture, *sound, *media.gop(10))


async def made(clipper: Clipper, source: Path, *presets: str, start: float = 0.0, end: float = 1.0, **fields: str) -> Clipped:
    done = await clipper.clipped(source, requested(start=start, end=end, presets=presets, **fields))
    assert not list(clipper.folder.glob("scratch-*/rendition-*"))
    assert done.said == sorted(done.said)
    assert done.said[-1] <= 1.0
    for rendition in done.event.renditions:
        assert rendition.size == done[rendition.key.rpartition("/")[2]].stat().st_size
    return done


def size_of(path: Path) -> str:
    return media.told(path, "stream=width,height", "-select_streams", "v")[0]


async def test_a_smaller_one_holds_the_same_frames_at_the_same_times_and_the_same_sound(clipper: Clipper, plain: Path):
    done = await made(clipper, plain, "720p", "1080p", start=2.5, end=5.2)
    assert [(r.preset, r.media_type) for r in done.event.renditions] == [("720p", "video/mp4"), ("1080p", "video/mp4")]
    assert done.warnings == []
    for name in ("clip.720p.mp4", "clip.1080p.mp4"):
        assert media.numbers(done[name]) == list(range(75, 156))
        assert size_of(done[name]) == "160,96"
        assert times_of(done[name]) == pytest.approx(times_of(done["clip.mp4"]), abs=0.001)
        assert media.beeps(done[name]) == pytest.approx(media.beeps(done["clip.mp4"]), abs=0.001)
        assert held_in(done[name]).hidden == 0
        assert media.told(done[name], "stream=codec_name,pix_fmt,level", "-select_streams", "v")[0].startswith("h264,yuv420p,1")


async def test_720p_of_a_large_clip_is_720_high_and_of_an_upright_one_720_wide(clipper: Clipper, folder: Path):
    wide = await made(clipper, thirds(folder / "wide.mp4", size="1440x810"), "720p")
    assert size_of(wide["clip.720p.mp4"]) == "1280,720"
    upright = await made(clipper, thirds(folder / "upright.mp4", size="1440x810", turn=",transpose=1"), "720p")
    assert size_of(upright["clip.720p.mp4"]) == "720,1280"


async def test_frames_of_uneven_rate_are_all_shown_also_the_last(clipper: Clipper, folder: Path):
    dropped = ("-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "uneven-r.mp4", frames=90, video=(*media.gop(30), *dropped))
    done = await made(clipper, source, "720p", end=2.9)
    assert media.numbers(done["clip.720p.mp4"]) == [n for n in range(87) if n % 7 != 3]
    assert times_of(done["clip.720p.mp4"]) == pytest.approx(times_of(done["clip.mp4"]), abs=0.001)


async def test_vertical_by_cropping_is_the_middle(clipper: Clipper, folder: Path):
    done = await made(clipper, thirds(folder / "crop.mp4"), "vertical", vertical_fit="crop")
    assert size_of(done["clip.vertical.mp4"]) == "202,360"
    picture = pixels(done["clip.vertical.mp4"])
    assert all(is_near(picture[row, column], GREEN) for row in (5, 180, 350) for column in (5, 101, 195))


async def test_vertical_by_padding_is_all_of_it_between_black(clipper: Clipper, folder: Path):
    done = await made(clipper, thirds(folder / "pad.mp4"), "vertical", vertical_fit="pad")
    assert size_of(done["clip.vertical.mp4"]) == "640,1136"
    picture = pixels(done["clip.vertical.mp4"])
    assert all(is_near(picture[568, column], colour) for column, colour in ((100, RED), (320, GREEN), (540, BLUE)))
    assert all(is_near(picture[row, column], (0, 0, 0)) for row in (10, 370, 766, 1125) for column in (10, 320, 630))


async def test_vertical_by_blurring_is_all_of_it_before_itself(clipper: Clipper, folder: Path):
    done = await made(clipper, thirds(folder / "blur.mp4", size="640x240"), "vertical", vertical_fit="blur")
    picture = pixels(done["clip.vertical.mp4"])
    assert all(is_near(picture[568, column], colour) for column, colour in ((100, RED), (320, GREEN), (540, BLUE)))
    assert is_near(picture[20, 320], GREEN)
    assert is_near(picture[1120, 320], GREEN)


async def test_a_turned_clip_with_pixels_that_are_not_square_is_made_upright_and_square(clipper: Clipper, folder: Path):
    squeezed = media.make(folder / "squeezed.mp4", frames=30, video=(*media.gop(30), "-vf", "setsar=2"))
    done = await made(clipper, media.turned(squeezed, 90), "720p")
    assert media.told(done["clip.720p.mp4"], "stream=width,height,sample_aspect_ratio", "-select_streams", "v") == ["96,320,1:1"]


async def test_hdr_becomes_bt709_of_eight_bits_for_all_screens(clipper: Clipper, folder: Path):
    gray = ("-f", "lavfi", "-i", "color=gray:s=320x180:r=10:d=1")
    source = media.converted(folder / "pq.mp4", *gray, *media.hevc(10, pixels="yuv420p10le"), *PQ)
    done = await made(clipper, source, "720p", "gif")
    entries = "stream=codec_name,pix_fmt,color_range,color_space,color_transfer,color_primaries"
    assert media.told(done["clip.720p.mp4"], entries, "-select_streams", "v") == ["h264,yuv420p,tv,bt709,bt709,bt709"]
    for name in ("clip.720p.mp4", "clip.gif"):
        assert np.abs(pixels(done[name])[90, 160] - 177).max() < 14


@pytest.mark.parametrize(("form", "codec", "media_type"), [("m4a", "aac", "audio/mp4"), ("mp3", "mp3", "audio/mpeg")])
async def test_sound_alone_is_in_step_with_the_clip(clipper: Clipper, plain: Path, form: str, codec: str, media_type: str):
    done = await made(clipper, plain, "audio", start=2.5, end=5.2, audio_format=form)
    assert [(r.preset, r.media_type) for r in done.event.renditions] == [("audio", media_type)]
    assert media.told(done[f"clip.{form}"], "stream=codec_name") == [codec]
    assert media.beeps(done[f"clip.{form}"]) == pytest.approx(media.beeps(done["clip.mp4"]), abs=IN_STEP)


async def test_a_gif_moves_and_goes_on_for_ever(clipper: Clipper, folder: Path):
    done = await made(clipper, thirds(folder / "gif.mp4", size="960x540"), "gif")
    content = done["clip.gif"].read_bytes()
    assert content[:6] == b"GIF89a"
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in content
    assert size_of(done["clip.gif"]) == "480,270"
    assert float(media.told(done["clip.gif"], "format=duration")[0]) == pytest.approx(1.0, abs=0.1)
    assert is_near(pixels(done["clip.gif"])[135, 80], RED)


async def test_what_can_not_be_made_is_a_warning_beside_a_whole_clip(clipper: Clipper, folder: Path):
    silent = media.make(folder / "silent-r.mp4", frames=60, audio=None)
    done = await made(clipper, silent, "audio", "720p")
    assert [r.preset for r in done.event.renditions] == ["720p"]
    assert done.warnings == [("PRESET_FAILED", "The preset audio was not made: the clip has no sound. The clip itself is whole.")]
    only = media.make(folder / "only-r.m4a", video=None, after=("-f", "mp4"))
    blind = await made(clipper, only, "gif", "audio")
    assert [r.preset for r in blind.event.renditions] == ["audio"]
    assert blind.warnings == [("PRESET_FAILED", "The preset gif was not made: the clip has no picture. The clip itself is whole.")]


def ffmpeg_that(path: Path, does: str) -> Path:
    """ffmpeg, but for 720p something else."""
    path.write_text(f'#!/bin/sh\ncase "$*" in *clip.720p.mp4*) {does};; esac\nexec {media.FFMPEG} "$@"\n')
    path.chmod(0o700)
    return path


async def test_one_whose_program_is_killed_is_a_warning_and_the_others_are_made(clipper: Clipper, plain: Path, tmp_path: Path):
    killed = ffmpeg_that(tmp_path / "killed", "kill -9 $$")
    done = await clipper.clipped(plain, requested(start=0.0, end=1.0, presets=("720p", "audio")), FFMPEG_BIN=str(killed))
    assert [r.preset for r in done.event.renditions] == ["audio"]
    reason = "it took more time or memory than there is for it"
    assert done.warnings == [("PRESET_FAILED", f"The preset 720p was not made: {reason}. The clip itself is whole.")]


async def test_when_the_time_is_over_the_clip_is_there_and_what_is_missing_is_said(clipper: Clipper, plain: Path, tmp_path: Path):
    slow = ffmpeg_that(tmp_path / "slow", "exec sleep 60")
    variables = {"FFMPEG_BIN": str(slow), "CLIP_MAX_RUNTIME_SEC": "5"}
    done = await clipper.clipped(plain, requested(start=0.0, end=1.0, presets=("720p", "audio")), **variables)
    assert done.event.renditions == ()
    assert [(code, message.split(": ")[1]) for code, message in done.warnings] == [
        ("PRESET_FAILED", "there was no time left for it. The clip itself is whole.")
    ] * 2
    assert len(media.numbers(done["clip.mp4"])) == 30


async def test_a_gif_shows_its_last_picture_as_long_as_the_clip_does(clipper: Clipper, folder: Path):
    slides = ("-vf", "select='eq(mod(n,50),0)'", "-fps_mode", "vfr", "-enc_time_base", "1:90000")
    source = media.make(folder / "slides-r.mp4", frames=150, video=(*media.gop(5), *slides))
    done = await made(clipper, source, "gif", end=4.5)
    assert float(media.told(done["clip.gif"], "format=duration")[0]) == pytest.approx(done.event.duration, abs=0.08)


@pytest.mark.parametrize(("rate", "end"), [(11025, 2.51), *(pytest.param(rate, 2.5, marks=pytest.mark.thorough) for rate in (8000, 16000))])
async def test_mp3_of_a_low_rate_is_as_long_as_the_clip(clipper: Clipper, folder: Path, rate: int, end: float):
    source = media.converted(folder / f"low-{rate}.wav", "-f", "lavfi", "-i", f"sine=d=5:r={rate}")
    done = await made(clipper, source, "audio", start=0.5, end=0.5 + end, audio_format="mp3")
    assert done.warnings == []
