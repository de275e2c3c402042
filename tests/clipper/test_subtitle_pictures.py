"""How burned-in subtitles look, as far as a machine can judge: drawn by ffmpeg with the files that the service writes."""

import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.subtitles_look import SAMPLES, caption, render
from libs.common.domain.values import SubtitleStyle
from libs.common.runtime.settings import load
from services.clipper.captions import Caption
from services.clipper.ffmpeg_plan import SUBTITLES
from services.clipper.settings import ClipperSettings
from services.clipper.subtitle_files import Shown, write_subtitles
from services.clipper.subtitle_style import PRESETS
from tests import media

Picture = NDArray[np.int16]
GRAY = 128
WIDE, SMALL, UPRIGHT, SQUARE = (1280, 720), (640, 480), (720, 1280), (600, 600)
CAPITALS = ("MAKE EVERY LETTER OF THIS A WIDE AND HIGH W", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW")
EDITED = ("An edited line may be as long as its author likes, for nobody counts the letters of a line that is put back.",) * 3


def settings(**variables: str) -> ClipperSettings:
    needed = {"DATABASE_URL": "postgresql://none", "NATS_URL": "nats://none", "FFMPEG_BIN": media.FFMPEG}
    return load(ClipperSettings, needed | variables)


def seen(
    folder: Path,
    lines: tuple[str, ...] | Caption,
    *,
    language: str = "en",
    style: SubtitleStyle = "default",
    size: tuple[int, int] = WIDE,
    at: float = 0.5,
    **variables: str,
) -> Picture:
    """Height, width and colour of the picture, as a person would see it on plain gray."""
    shown = Shown((lines if isinstance(lines, Caption) else caption(lines),), language, style, size)
    output = folder / "seen.ppm"
    render(shown, output, settings=settings(**variables), at=at, background="format=rgb24")
    data = output.read_bytes().split(b"\n", 3)[3]
    return np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3).astype(np.int16)


def marked(picture: Picture) -> NDArray[np.bool_]:
    """Where anything was drawn."""
    return (abs(picture - GRAY) > 12).any(axis=2)


def edges(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is marked; right and bottom are beyond it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def yellow(picture: Picture) -> NDArray[np.bool_]:
    return (picture[..., 0] > 200) & (picture[..., 1] > 160) & (picture[..., 2] < 90)


SIZES = (WIDE, SMALL, UPRIGHT, SQUARE)
STYLES_AND_SIZES = [
    pytest.param(style, size, marks=() if n == m else pytest.mark.thorough)
    for n, style in enumerate(PRESETS)
    for m, size in enumerate(SIZES)
]
"""Each style and each size once every day."""


@pytest.mark.parametrize(("style", "size"), STYLES_AND_SIZES)
def test_text_stays_within_the_safe_area_however_long_it_is(tmp_path: Path, style: SubtitleStyle, size: tuple[int, int]):
    for lines in (CAPITALS, EDITED, *([SAMPLES["ar"], SAMPLES["ja"]] if size == UPRIGHT else [])):
        left, top, right, bottom = edges(marked(seen(tmp_path, lines, style=style, size=size)))
        beside, below = size[0] * 0.05 - 1, size[1] * 0.05 - 1
        assert left >= beside
        assert right <= size[0] - beside
        assert top >= below
        assert bottom <= size[1] - below


@pytest.mark.parametrize(("position", "first", "last"), [("top", 0.04, 0.3), ("middle", 0.35, 0.65), ("bottom", 0.7, 0.96)])
def test_the_position_is_a_setting(tmp_path: Path, position: str, first: float, last: float):
    _, top, _, bottom = edges(marked(seen(tmp_path, ("One line", "and two"), SUBTITLE_POSITION=position)))
    assert first * WIDE[1] <= top < bottom <= last * WIDE[1]


@pytest.mark.parametrize("language", SAMPLES)
def test_libass_finds_every_glyph_in_our_own_fonts(tmp_path: Path, language: str):
    write_subtitles(Shown((caption(SAMPLES[language]),), language, "default", WIDE), settings(), tmp_path)
    log = drawn_log(tmp_path)
    assert "not found" not in log
    chosen = [line for line in log.splitlines() if "fontselect:" in line]
    assert chosen
    assert all("-> fonts/" in line or f"-> {tmp_path}/fonts/" in line for line in chosen)


def drawn_log(folder: Path) -> str:
    source = ("-f", "lavfi", "-i", "color=c=gray:s=1280x720:d=0.04")
    command = ["env", "FONTCONFIG_PATH=.", "FONTCONFIG_FILE=fonts.conf", media.FFMPEG, "-v", "verbose", *source]
    ended = subprocess.run(
        [*command, "-vf", f"ass={SUBTITLES}", "-f", "null", "-"], cwd=folder, capture_output=True, check=True, timeout=60
    )
    return ended.stderr.decode()


def test_han_is_written_in_the_way_of_the_language(tmp_path: Path):
    pictures = [seen(tmp_path, ("骨直今海",), language=language) for language in ("zh", "ja", "ko")]
    assert all((marked(pictures[n]) ^ marked(pictures[m])).sum() > 50 for n, m in ((0, 1), (0, 2)))


def test_bold_is_bolder_and_the_box_is_one_box(tmp_path: Path):
    ink = {style: int((seen(tmp_path, ("Ill will", "is one"), style=style).min(axis=2) > 230).sum()) for style in PRESETS}
    assert ink["bold"] > 1.4 * ink["default"]
    boxed = seen(tmp_path, ("One longer line", "gyp"), style="boxed")
    left, top, right, bottom = edges(marked(boxed))
    dark = boxed[..., 0] < 60
    assert dark[top + 2 : bottom - 2, left + 2 : left + 8].all()
    assert dark[top + 2 : bottom - 2, right - 8 : right - 2].all()


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.thorough), "ar", "hi"])
def test_the_highlight_moves_with_the_words_and_the_words_stay(tmp_path: Path, language: str):
    lines = SAMPLES[language][:1]
    pictures = [seen(tmp_path, lines, language=language, style="karaoke", at=n + 0.5) for n in range(len(lines[0].split()))]
    middles = [float(np.flatnonzero(yellow(picture).any(axis=0)).mean()) for picture in pictures]
    assert middles == sorted(middles, reverse=language == "ar")
    assert min(abs(a - b) for a, b in pairwise(middles)) > 5
    moved = [int((marked(picture) ^ marked(pictures[0])).sum()) for picture in pictures]
    assert max(moved) < 0.03 * int(marked(pictures[0]).sum())


def test_text_is_of_one_size_by_the_pictures_height(tmp_path: Path):
    heights = []
    for size in ((854, 480), (1920, 1080)):
        _, top, _, bottom = edges(marked(seen(tmp_path, ("Exactly", "High"), size=size)))
        heights.append((bottom - top) / size[1])
    assert heights[0] == pytest.approx(heights[1], rel=0.04)


@pytest.mark.parametrize("language", ["ar", "hi", "th", "zh"])
def test_other_scripts_are_about_as_large_as_latin(tmp_path: Path, language: str):
    """libass makes a font as tall as its line; by that alone Arabic would be two thirds as large as Latin."""
    samples = {"ar": "الإ", "hi": "राष", "th": "ปปป", "zh": "国国"}
    tall = {}
    for text, of in ((samples[language], language), ("Hlp", "en")):
        _, top, _, bottom = edges(marked(seen(tmp_path, (text,), language=of)))
        tall[of] = bottom - top
    assert 0.7 < tall[language] / tall["en"] < 1.6


def test_a_command_in_the_text_moves_and_colours_nothing(tmp_path: Path):
    plain = edges(marked(seen(tmp_path, ("HHHH",))))
    picture = seen(tmp_path, (r"{\an8\pos(10,10)\fs200\c&H0000FF&\p1}HHHH{\p0}",))
    left, top, right, bottom = edges(marked(picture))
    assert abs(top - plain[1]) < 12
    assert abs(bottom - plain[3]) < 12
    assert right - left > 3 * (plain[2] - plain[0])
    assert (picture.max(axis=2) - picture.min(axis=2)).max() < 12
