"""Sizes of renditions, and their commands, whole. What those do is shown in test_renditions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clipper.ffmpeg_plan import Encoding
from services.clipper.output_checks import Sight
from services.clipper.rendition_plan import Original, misfit, rendition_plan
from services.clipper.rendition_sizes import Size, filling, gif_size, inside, shorter_side, vertical_canvas

ENCODING = Encoding("ffmpeg", 20, 2)
ORIGINAL = Original(
    size=(1920, 1080),
    is_hdr=False,
    matrix=1,
    duration=3.0,
    frames=(0.0, 0.04, 0.08),
    sights=(Sight(0.0, b"seen"),),
    sound="aac",
    sound_end=2.98,
    channels=2,
)
GLOBAL = "ffmpeg -hide_banner -nostdin -v error -y -progress pipe:1 -stats_period 0.5"
SOURCE = "-f mov -format_whitelist mov -max_pixels 33177600 -max_streams 64 -protocol_whitelist file -threads 2 -i original.mp4"
FLAGS = "-map_chapters -1 -map_metadata -1 -movflags +faststart+negative_cts_offsets"
SIZES = st.tuples(st.integers(2, 8000), st.integers(2, 8000))
PLAIN_SIZES = st.tuples(st.integers(20, 8000), st.integers(36, 8000)).filter(lambda size: 1 / 8 < size[0] / size[1] < 8)


def commands(preset: str, original: Original = ORIGINAL, fit: str = "crop", audio: str = "m4a") -> list[str]:
    return [" ".join(command) for command in rendition_plan(preset, fit, audio, original, ENCODING).commands]  # type: ignore[arg-type]


def video(filters: str, name: str, sound: str = "-c:a copy") -> str:
    return (
        f"{GLOBAL} {SOURCE} -map 0:v:0 -map 0:a:0 -f mp4 {sound} -c:v libx264 -crf 20 -dn -enc_time_base:v 1:90000 -filter:v {filters} "
        f"-fps_mode passthrough {FLAGS} -preset veryfast -sn -threads 2 -video_track_timescale 90000 {name}"
    )


def test_720p():
    assert commands("720p") == [video("scale=1280:720:flags=bicubic:out_range=tv,format=yuv420p,setsar=1", "clip.720p.mp4")]


def test_vertical_cropped_padded_and_in_front_of_itself():
    scaled = "scale=1920:1080:flags=bicubic:out_range=tv,format=yuv420p,setsar=1"
    assert commands("vertical") == [video(f"{scaled},crop=608:1080", "clip.vertical.mp4")]
    fitted = "scale=1080:608:flags=bicubic:out_range=tv,format=yuv420p,setsar=1"
    assert commands("vertical", replace(ORIGINAL, size=(1080, 608)), "pad") == [
        video(f"{fitted},pad=1080:1920:0:656:black", "clip.vertical.mp4")
    ]
    behind = "[back]scale=426:240,crop=136:240,gblur=sigma=4,scale=1080:1920:flags=bicubic,setsar=1[blurred]"
    assert commands("vertical", fit="blur") == [
        video(f"{fitted},split[front][back];{behind};[blurred][front]overlay=0:656,format=yuv420p", "clip.vertical.mp4")
    ]


def test_hdr_goes_through_the_table():
    [command] = commands("1080p", replace(ORIGINAL, is_hdr=True, matrix=9))
    assert (
        "-filter:v scale=1920:1080:flags=bicubic:in_color_matrix=bt2020,format=gbrp12,lut3d=file=sdr.cube,"
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,"
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=1 "
    ) in command


def test_hd_that_says_nothing_of_its_colours_is_bt709_in_any_size():
    [command] = commands("720p", replace(ORIGINAL, matrix=2))
    assert "-filter:v setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709,scale=1280" in command


def test_sound_is_copied_into_m4a_if_it_is_aac():
    assert commands("audio") == [f"{GLOBAL} {SOURCE} -map 0:a:0 -f ipod -c:a copy -dn {FLAGS} -sn clip.m4a"]
    assert commands("audio", replace(ORIGINAL, sound="mp3")) == [
        f"{GLOBAL} {SOURCE} -map 0:a:0 -f ipod -b:a 192k -c:a aac -dn {FLAGS} -sn clip.m4a"
    ]


def test_mp3_is_stereo_at_the_most():
    [command] = commands("audio", replace(ORIGINAL, channels=6), audio="mp3")
    assert command == (
        f"{GLOBAL} {SOURCE} -map 0:a:0 -f mp3 -ac 2 -b:a 192k -c:a libmp3lame -dn "
        "-filter:a aresample=async=1:min_hard_comp=0.01:first_pts=0,atrim=end=2.980000 -map_chapters -1 -map_metadata -1 -sn clip.mp3"
    )


def test_a_gif_is_drawn_in_its_own_colours():
    palette, drawn = commands("gif")
    frames = "fps=25/2,tpad=stop=-1:stop_mode=clone,trim=end=3.000000,scale=480:270:flags=bicubic:out_range=tv,format=yuv420p,setsar=1"
    assert palette == (f"{GLOBAL} {SOURCE} -map 0:v:0 -f image2 -filter:v {frames},palettegen -frames:v 1 -update 1 palette.png")
    assert drawn == (
        f"{GLOBAL} {SOURCE} -f png_pipe -protocol_whitelist file -i palette.png -filter_complex [0:v:0]fps=25/2[s0];"
        "[s0]tpad=stop=-1:stop_mode=clone[s1];[s1]trim=end=3.000000[s2];"
        "[s2]scale=480:270:flags=bicubic:out_range=tv[s3];[s3]format=yuv420p[s4];[s4]setsar=1[s5];"
        "[s5][1]paletteuse=bayer_scale=4:dither=bayer[s6] -map [s6] -f gif -loop 0 clip.gif"
    )


def test_what_does_not_fit_is_said():
    silent, blind = replace(ORIGINAL, sound=None), replace(ORIGINAL, frames=())
    assert misfit("audio", silent) == "the clip has no sound"
    assert {misfit(preset, blind) for preset in ("720p", "1080p", "vertical", "gif")} == {"the clip has no picture"}
    assert misfit("gif", replace(ORIGINAL, duration=121.0)) == "the clip is longer than 120 s, too long for a GIF"
    assert {misfit(preset, ORIGINAL) for preset in ("720p", "audio", "gif")} == {None}
    assert "-map 0:a:0" not in commands("720p", silent)[0]


@pytest.mark.parametrize(
    ("size", "pixels", "made"),
    [
        ((1920, 1080), 720, (1280, 720)),
        ((1080, 1920), 720, (720, 1280)),
        ((640, 360), 720, (640, 360)),
        ((159, 95), 1080, (158, 94)),
        ((3840, 1600), 1080, (2592, 1080)),
        ((1000, 1000), 720, (720, 720)),
    ],
)
def test_the_shorter_side_is_what_the_name_says(size: Size, pixels: int, made: Size):
    assert shorter_side(size, pixels) == made


@given(SIZES, st.sampled_from((720, 1080)))
def test_nothing_is_enlarged_and_all_is_even(size: Size, pixels: int):
    made = shorter_side(size, pixels)
    assert all(side <= max(2, limit) and side % 2 == 0 for side, limit in zip(made, size, strict=True))


@given(PLAIN_SIZES)
def test_vertical_is_nine_to_sixteen_and_no_larger_than_what_is_there(size: Size):
    for fit in ("crop", "pad", "blur"):
        width, height = canvas = vertical_canvas(size, fit)
        assert abs(width * 16 - height * 9) <= 16
        assert width % 2 == height % 2 == 0
        assert width <= 1080
        assert all(a <= b for a, b in zip(inside(size, canvas), canvas, strict=True))
        assert all(a >= b for a, b in zip(filling(size, canvas), canvas, strict=True))
        assert height <= 1920
        if fit == "crop":
            assert width <= size[0] + 1
            assert height <= size[1]


@given(SIZES)
def test_a_gif_is_never_wide_nor_tall(size: Size):
    assert gif_size(size)[0] <= 480
    assert gif_size(size)[1] <= 1080
