"""Posters of real clips: which picture is taken, and that it is seen as a player shows it."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.clipper.inspected import Inspect
from services.clipper.inspection import inspect
from services.clipper.poster import AWAY, LONGEST_SIDE, moments, poster, size_of
from tests import media
from tests.builders import requested
from tests.clipper.running import Clipper
from tests.clipper.test_burning import PQ

BARS = ("-f", "lavfi", "-i", "smptehdbars=s=1280x720:r=10:d=2")
RED, BLUE = (255, 0, 0), (0, 0, 255)


def seen(path: Path) -> NDArray[np.int16]:
    """Rows of red, green and blue."""
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(np.int16)


async def poster_of(clipper: Clipper, source: Path, start: float = 0.0, end: float = 2.0) -> NDArray[np.int16]:
    done = await clipper.clipped(source, requested(start=start, end=end))
    assert done.event.thumbnail_key == done.event.video_key.replace("clip.mp4", "thumb.jpg")
    assert done["thumb.jpg"].read_bytes()[:3] == b"\xff\xd8\xff"
    assert done.warnings == []
    return seen(done["thumb.jpg"])


def halves(path: Path, *options: str, size: str = "320x180") -> Path:
    """Its upper half is red, its lower half blue."""
    width, height = map(int, size.split("x"))
    picture = f"color=red:s={size}:r=10:d=2,drawbox=y={height // 2}:w={width}:h={height // 2}:color=blue:t=fill"
    return media.converted(path, "-f", "lavfi", "-i", picture, *media.gop(10), *options)


async def test_a_large_clip_has_a_small_poster_of_its_colours(clipper: Clipper, folder: Path):
    tags = ("-vf", "scale=out_color_matrix=bt709,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709")
    picture = await poster_of(clipper, media.converted(folder / "bars.mp4", *BARS, *tags, *media.gop(30)))
    assert picture.shape == (360, 640, 3)
    assert np.abs(picture[100, 180] - (191, 191, 0)).max() < 12
    assert np.abs(picture[100, 520] - (0, 0, 191)).max() < 12


async def test_a_poster_is_turned_as_the_clip_is(clipper: Clipper, folder: Path):
    stored = halves(folder / "halves.mp4", size=f"{media.WIDTH}x{media.HEIGHT}")
    picture = await poster_of(clipper, media.turned(stored, 90))
    assert picture.shape == (media.WIDTH, media.HEIGHT, 3)
    assert np.abs(picture[80, 80] - RED).max() < 12
    assert np.abs(picture[80, 16] - BLUE).max() < 12


async def test_a_poster_has_square_pixels(clipper: Clipper, folder: Path):
    picture = await poster_of(clipper, halves(folder / "stretched.mp4", "-vf", "setsar=2", size="160x180"))
    assert picture.shape == (180, 320, 3)


async def test_a_clip_that_begins_in_black_has_a_poster_that_is_not(clipper: Clipper, folder: Path):
    late = ("-vf", "drawbox=w=iw:h=ih:color=black:t=fill:enable='lt(t,1.2)'")
    picture = await poster_of(clipper, media.converted(folder / "one.mp4", *BARS, *late, *media.gop(250)))
    assert picture.mean() > 40


async def test_hdr_is_seen_in_the_colours_of_ordinary_screens(clipper: Clipper, folder: Path):
    gray = ("-f", "lavfi", "-i", "color=gray:s=320x180:r=10:d=2")  # half of PQ's scale: 93 candela
    source = media.converted(folder / "pq.mp4", *gray, *media.hevc(30, pixels="yuv420p10le"), *PQ)
    picture = await poster_of(clipper, source)
    assert np.abs(picture[90, 160] - 177).max() < 14


async def test_sound_alone_has_no_poster_and_no_warning(clipper: Clipper, folder: Path):
    source = media.make(folder / "only.m4a", video=None, after=("-f", "mp4"))
    done = await clipper.clipped(source, requested(start=1.0, end=3.0))
    assert (done.event.thumbnail_key, done.warnings) == (None, [])


async def test_a_turned_hdr_clip_has_an_upright_poster(clipper: Clipper, folder: Path):
    gray = ("-f", "lavfi", "-i", f"color=gray:s={media.WIDTH}x{media.HEIGHT}:r=10:d=1")
    source = media.converted(folder / "pq-turned.mp4", *gray, *media.hevc(30, pixels="yuv420p10le"), *PQ)
    assert (await poster_of(clipper, media.turned(source, 90), end=1.0)).shape == (media.WIDTH, media.HEIGHT, 3)


@pytest.mark.parametrize("code", [0, 3, 6, 8, 10, 11, 12, 14])
def test_a_poster_does_not_need_to_know_the_matrix(folder: Path, code: int):
    source = halves(folder / f"matrix-{code}.mp4", "-bsf:v", f"h264_metadata=matrix_coefficients={code}")
    told = inspect(Inspect(str(source), (), poster=True))
    assert (told.poster or b"")[:3] == b"\xff\xd8\xff"


async def test_pixels_that_nobody_makes_so_wide_count_as_square(clipper: Clipper, folder: Path):
    picture = await poster_of(clipper, halves(folder / "flat.mp4", "-vf", "setsar=200", size="160x180"))
    assert picture.shape == (180, 160, 3)


def test_without_a_picture_that_decodes_there_is_no_poster():
    assert poster((), 1.0) is None


@given(st.lists(st.integers(-10, 10_000), min_size=1, max_size=200, unique=True), st.data())
def test_few_pictures_are_looked_at_and_the_first_is_a_keyframe(shown: list[int], data: st.DataObject):
    keys = data.draw(st.lists(st.sampled_from(shown), min_size=1, unique=True))
    chosen = moments(shown, keys)
    assert chosen[0] in keys
    assert len(chosen) <= 4
    assert set(chosen) <= set(shown)
    assert sorted(shown)[min(AWAY, len(shown) - 1)] in chosen


@given(st.integers(2, 8000), st.integers(2, 8000), st.floats(0.1, 10))
def test_a_poster_is_never_larger_than_it_may_be(width: int, height: int, stretch: float):
    size = size_of(width, height, stretch)
    assert min(size) >= 2
    assert max(size) <= LONGEST_SIDE
    assert not any(side % 2 for side in size)


@pytest.mark.parametrize(("width", "height", "stretch", "size"), [(720, 576, 16 / 11, (640, 352)), (1080, 1920, 1, (360, 640))])
def test_the_longer_side_is_the_one_that_is_held_to_it(width: int, height: int, stretch: float, size: tuple[int, int]):
    assert size_of(width, height, stretch) == size
