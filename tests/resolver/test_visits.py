"""The real yt-dlp and libav in the fetching child, sent to sites that speak the real protocols."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code
from services.resolver.fetch.words import Fetched, Format
from tests import media
from tests.resolver.visiting import Visitor
from tests.sites.films import FRAME_RATE, numbers_in
from tests.sites.packagings import packaged

START, END = 8.4, 12.4
SECTIONED = (
    *("faststart", "moov-at-end", "fragmented", "mkv", "ts", "webm", "no-sound"),
    *("hls-ts", "hls-fmp4", "hls-ts-ranges", "hls-fmp4-ranges", "hls-aes", "hls-aes-sequence", "hls-late-clock", "hls-clock-wrap"),
    *("hls-discontinuity", "hls-own-sound", "hls-variants", "dash", "dash-numbers", "dash-on-demand"),
)


def shown_at(path: Path, clock_offset: float) -> list[float]:
    """When the pictures of a section are shown, in the source's time."""
    frames = media.told(path, "frame=best_effort_timestamp_time", "-select_streams", "v")
    return [float(time.rstrip(",")) + clock_offset for time in frames]


@pytest.mark.parametrize("kind", SECTIONED)
async def test_a_section_holds_the_range_in_the_sources_time(visitor: Visitor, short: Path, kind: str):
    fetched = await visitor.fetch(visitor.site.file(packaged(short, kind)))
    assert visitor.found.is_section
    assert fetched.begins is not None
    assert fetched.ends is not None
    assert fetched.clock_offset is not None
    assert fetched.begins <= START
    assert fetched.ends > END
    numbers, times = numbers_in(Path(fetched.path)), shown_at(Path(fetched.path), fetched.clock_offset)
    # Sound that begins a little before the picture is what players show as 0:00.
    lag = {time - number / FRAME_RATE for number, time in zip(numbers, times, strict=True)}
    assert max(lag) - min(lag) < 0.0011
    assert 0 <= min(lag) + 0.0005 < (0.21 if kind == "fragmented" else 0.05)  # without an edit list, pictures wait to be put in order
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


@pytest.mark.parametrize("kind", ["faststart", "webm", "mp3", "m4a"])
async def test_a_site_without_ranges_gives_the_whole_file(visitor: Visitor, short: Path, kind: str):
    path = packaged(short, kind)
    fetched = await visitor.fetch(visitor.site.file(path, how="whole"))
    assert not visitor.found.is_section
    assert (fetched.clock_offset, fetched.begins, fetched.ends) == (None, None, None)
    assert Path(fetched.path).read_bytes() == path.read_bytes()


async def test_sound_alone_is_fetched_by_section(visitor: Visitor, short: Path):
    fetched = await visitor.fetch(visitor.site.file(packaged(short, "m4a")))
    assert visitor.found.is_section
    assert media.told(Path(fetched.path), "stream=codec_name") == ["aac"]


@pytest.mark.parametrize("page", ["og", "json-ld", "video", "source", "cookie"])
async def test_a_page_with_a_video_leads_to_it(visitor: Visitor, short: Path, page: str):
    target = visitor.site.file(packaged(short, "faststart"), how="cookies" if page == "cookie" else "files")
    await visitor.fetch(visitor.site.url(f"/page/{page}", target=target))
    assert visitor.found.is_section


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_redirects_are_followed(visitor: Visitor, short: Path, status: int):
    await visitor.fetch(visitor.site.url(f"/redirect/{status}", target=visitor.site.file(packaged(short, "faststart"))))


async def test_the_referring_page_is_named_to_sites_that_want_it(visitor: Visitor, short: Path):
    target = visitor.site.file(packaged(short, "faststart"), how="referred")
    await visitor.fetch(visitor.site.url("/page/video", target=target))


async def test_a_look_tells_formats_and_keyframes_and_fetches_nothing(visitor: Visitor, short: Path):
    path = packaged(short, "hls-variants")
    await visitor.visit(visitor.site.file(path), looks=True)
    listed = [said for said in visitor.said if isinstance(said, Format)]
    assert len(listed) > 1
    assert [said.is_chosen for said in listed].count(True) == 1
    assert visitor.found.duration == pytest.approx(20, abs=0.1)
    assert visitor.keyframes[0] <= START
    assert visitor.keyframes[-1] >= END
    assert not any(isinstance(said, Fetched) for said in visitor.said)


async def test_of_several_variants_the_best_up_to_1080_lines_is_taken(visitor: Visitor, short: Path):
    await visitor.fetch(visitor.site.file(packaged(short, "hls-variants")))
    segments = {request.path.split("/")[-2] for request in visitor.site.requests if request.path.endswith(".ts")}
    assert segments == {"large"}


async def test_a_site_that_is_slow_once_is_asked_again_by_the_job_alone(visitor: Visitor, short: Path):
    url = visitor.site.file(packaged(short, "faststart"), how="faults/once")
    assert (await visitor.refusal(url)).code is Code.RETRYABLE_ERROR
    await visitor.fetch(url)
