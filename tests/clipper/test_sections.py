"""Sources of which only a section was fetched: the clip is cut in the source's own time, whatever the file's clock shows."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from tests import media
from tests.clipper.running import Clipper

OFFSET = 3.0
"""Second 4 of the source, where the section begins, is at second 1 of the file."""


def section(source: Path, path: Path, *options: str) -> Path:
    seek = ("-copyts", "-ss", "4.01", "-i", str(source), "-c", "copy", "-output_ts_offset", str(-OFFSET))
    return media.converted(path, *seek, "-avoid_negative_ts", "disabled", "-movie_timescale", "90000", *options)


@pytest.mark.parametrize(
    ("suffix", "start", "end", "path"),
    [
        (".mp4", 4.0, 6.0, "copy"),
        (".mkv", 4.5, 7.1, "smart"),
        pytest.param(".mp4", 4.5, 7.1, "smart", marks=pytest.mark.thorough),
        pytest.param(".mkv", 4.0, 6.0, "copy", marks=pytest.mark.thorough),
    ],
)
async def test_a_section_is_cut_in_the_sources_time(
    clipper: Clipper, plain: Path, folder: Path, suffix: str, start: float, end: float, path: str
):
    clip = await clipper.cut(section(plain, folder / f"section-{path}{suffix}"), start, end, clock_offset=OFFSET)
    assert clip.numbers == list(range(round(start * 30), round(end * 30)))
    assert (clip.event.actual_start, clip.event.actual_end) == pytest.approx((start, end), abs=1e-3)
    assert clip.event.cut_path == path


async def test_a_section_that_is_encoded_anew_is_cut_in_the_sources_time(clipper: Clipper, folder: Path):
    vp8 = ("-c:v", "libvpx", "-g", "60", "-deadline", "realtime", "-cpu-used", "8")
    whole = media.make(folder / "section-whole.mkv", frames=240, video=vp8, audio=None)
    clip = await clipper.cut(section(whole, folder / "section-vp8.mkv"), 5.0, 6.5, clock_offset=OFFSET)
    assert clip.event.cut_path == "reencode"
    assert clip.numbers == list(range(150, 195))
    assert clip.event.actual_start == pytest.approx(5.0, abs=1e-3)


async def test_a_range_that_the_section_does_not_reach_is_refused(clipper: Clipper, plain: Path, folder: Path):
    with pytest.raises(Failure) as refused:
        await clipper.cut(section(plain, folder / "section-short.mp4", "-t", "7"), 5.0, 9.5, clock_offset=OFFSET)
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE
