"""That the sites are what they say, to the real yt-dlp (2026.8.19, generic extractor). What surprises in what it tells:

- Of a file it knows neither duration, size nor codecs, and of DASH no duration; HLS's is the sum of its segments, in whole seconds.
- og:video gives `url` and no `formats`. An empty page is a "direct" video of ext `unknown_video`. A plain iframe is not followed.
- DASH by template: `fragments`, each `url`, or `path` to be joined to `fragment_base_url`; the first, without `duration`, initialises.
- DASH on demand (SegmentBase) is two plain files of protocol `http`, without fragments. By SegmentList of ranges it is a KeyError.
- Picture and sound apart are two `requested_formats`; their joint protocol reads `http_dash_segments+http_dash_segments`.
- HLS is asked for three times, and the first variant and sound are fetched, during extraction: a hostile master leads it elsewhere at once.
- It follows redirects and asks again for what they lead to. `socket_timeout` is for one read: a byte a second holds it as long as it likes.
- A page of 200 MB costs it more than a minute of CPU, as does a gzip bomb, though it asked for no compression; one of 10,000 og:video
  44 s; half a kilobyte of DASH that says `r="1000000"` 265 MB of memory.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, UnsupportedError, YoutubeDLError

from tests import media
from tests.sites.films import FRAME_RATE, SHORT_SECONDS, hour_film, numbers_in
from tests.sites.packagings import KINDS, packaged
from tests.sites.pages import TITLE
from tests.sites.site import Site, open_canary

PICTURES = list(range(SHORT_SECONDS * FRAME_RATE))
NOT_FOR_FFMPEG = {"disguised-hls", "disguised-script", "dash-ranges", "dash-live"}
WITHOUT_PICTURES = {"m4a", "mp3", "hls-sound-only"}
APART = "http_dash_segments+http_dash_segments"
PROTOCOLS = dict.fromkeys(KINDS, "http") | {
    **{kind: "m3u8_native" for kind in KINDS if kind.startswith("hls")},
    "hls-own-sound": "m3u8_native+m3u8_native",
    "dash": APART,
    "dash-numbers": APART,
    "dash-live": APART,
    "dash-on-demand": "http+http",
}


class Silent:
    def debug(self, _text: str) -> None: ...

    warning = error = debug


def extracted(url: str) -> dict[str, Any]:
    options = {"logger": Silent(), "cachedir": False, "socket_timeout": 5, "extractor_retries": 0, "playlist_items": "1-2"}
    with yt_dlp.YoutubeDL(options) as downloader:
        return downloader.extract_info(url, download=False)


async def seen(url: str) -> dict[str, Any]:
    return await asyncio.to_thread(extracted, url)


async def refused(url: str) -> BaseException | None:
    """What yt-dlp's own error was about."""
    with pytest.raises(DownloadError) as caught:
        await seen(url)
    error = caught.value.exc_info[1]
    return error.cause if isinstance(error, ExtractorError) and error.cause else error


@pytest.fixture
def file(site: Site, film: Path) -> str:
    return site.file(packaged(film, "faststart"))


def test_an_hour_of_film_is_numbered_to_its_end_and_beeps_each_second(films: Path, tmp_path: Path) -> None:
    film = hour_film(films)
    assert 60e6 < film.stat().st_size < 120e6
    assert [float(time) for time in media.told(film, "stream=duration")] == [3600, pytest.approx(3600, abs=0.03)]
    assert numbers_in(film, "-ss", "3598") == list(range(35_980, 36_000))
    assert media.beeps(film, options=("-ss", "1800.5", "-t", "3")) == pytest.approx([0.5, 1.5, 2.5], abs=0.001)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - NOT_FOR_FFMPEG - WITHOUT_PICTURES))
async def test_every_packaging_holds_every_picture(site: Site, film: Path, kind: str) -> None:
    url = site.file(packaged(film, kind))
    assert await asyncio.to_thread(numbers_in, url) == PICTURES


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"dash-ranges"}))
async def test_ytdlp_sees_each_packaging_for_what_it_is(site: Site, film: Path, kind: str) -> None:
    video = await seen(site.file(packaged(film, kind)))
    is_hls = kind.startswith("hls")
    assert video["protocol"] == PROTOCOLS[kind]
    assert video.get("duration") == (SHORT_SECONDS if is_hls else None)
    assert bool(video.get("is_live")) == (kind == "dash-live")
    assert not is_hls or len(site.requests) == 3


async def test_ytdlp_cannot_read_a_list_of_ranges(site: Site, film: Path) -> None:
    assert isinstance(await refused(site.file(packaged(film, "dash-ranges"))), KeyError)


async def test_dash_fragments_begin_with_the_initialisation(site: Site, film: Path) -> None:
    picture, sound = (await seen(site.file(packaged(film, "dash"))))["requested_formats"]
    assert picture["fragments"][0] == {"path": "init-stream0.m4s"}
    assert [part["duration"] for part in picture["fragments"][1:]] == pytest.approx([6.3, 6.3, 6.3, 1.1], abs=0.001)
    assert picture["fragment_base_url"].endswith("/dash/")
    assert (picture["acodec"], sound["vcodec"]) == ("none", "none")


async def test_a_recording_grows_and_is_live(site: Site, film: Path) -> None:
    assert (await seen(site.file(packaged(film, "hls-ts"), how="live", shown=1)))["is_live"]
    assert [exchange.sent for exchange in site.requests] == sorted({exchange.sent for exchange in site.requests})


async def test_of_several_variants_the_largest_is_chosen(site: Site, film: Path) -> None:
    video = await seen(site.file(packaged(film, "hls-variants")))
    assert [known["width"] for known in video["formats"]] == [160, 320]
    assert video["url"].endswith("large/index.m3u8")


@pytest.mark.parametrize("kind", ["og", "json-ld", "video", "source", "cookie"])
async def test_ytdlp_finds_the_video_of_a_page(site: Site, file: str, kind: str) -> None:
    video = await seen(site.url(f"/page/{kind}", target=file))
    assert (video["url"], video["protocol"]) == (file, "http")
    assert video["title"].startswith(TITLE)
    assert "formats" in video or kind == "og"


@pytest.mark.parametrize(("kind", "count"), [("two-videos", 2), ("og-many", 300), ("rss", 10_000)])
async def test_a_page_of_several_videos_is_a_playlist(site: Site, file: str, kind: str, count: int) -> None:
    page = await seen(site.url(f"/page/{kind}", target=file, count=count))
    assert (page["_type"], page["playlist_count"], len(page["entries"])) == ("playlist", count, 2)


@pytest.mark.parametrize("kind", ["iframe", "script", "no-video"])
async def test_a_page_without_a_video_is_unsupported(site: Site, file: str, kind: str) -> None:
    assert isinstance(await refused(site.url(f"/page/{kind}", target=file)), UnsupportedError)


async def test_an_empty_page_passes_for_a_video(site: Site) -> None:
    assert (await seen(site.url("/page/empty")))["ext"] == "unknown_video"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(site: Site, file: str, status: int) -> None:
    assert (await seen(site.url(f"/redirect/{status}", target=file)))["url"] == file
    assert [exchange.status for exchange in site.requests] == [status, 200, 200]


async def test_a_chain_of_redirects_ends_and_a_loop_does_not(site: Site, file: str) -> None:
    assert (await seen(site.url("/hops/5", target=file)))["url"] == file
    assert isinstance(await refused(site.url("/loop/here")), HTTPError)
    with pytest.raises(YoutubeDLError, match="No connection adapters"):
        await seen(site.url("/redirect/302", target="file:///etc/passwd"))


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 451, 500, 503])
async def test_a_refusal_has_its_status_and_when_to_come_back(site: Site, status: int) -> None:
    error = await refused(site.url(f"/status/{status}/film.mp4", retry=7))
    assert isinstance(error, HTTPError)
    assert (error.status, error.response.get_header("Retry-After")) == (status, "7")


async def test_a_bot_check_is_named(site: Site) -> None:
    with pytest.raises(DownloadError, match="anti-bot challenge"):
        await seen(site.url("/status/403/challenge"))


async def test_drm_is_named(site: Site) -> None:
    for kind in ("hls-drm", "dash-drm"):
        with pytest.raises(DownloadError, match="DRM protected"):
            await seen(site.url(f"/manifest/{kind}"))


@pytest.mark.parametrize("fault", ["garbage", "hang-up"])
async def test_a_broken_answer_is_the_transports_error(site: Site, film: Path, fault: str) -> None:
    assert isinstance(await refused(site.file(film, how=f"faults/{fault}")), TransportError)


@pytest.mark.parametrize("kind", ["hls-variant", "hls-sound"])
async def test_a_master_playlist_leads_ytdlp_to_a_canary(site: Site, kind: str) -> None:
    async with open_canary() as canary:
        await seen(site.url(f"/manifest/{kind}", target=canary.url()))
        assert canary.connections == 1


@pytest.mark.parametrize("kind", ["hls-segment", "hls-key", "hls-map", "dash-segment", "dash-init", "dash-file"])
async def test_the_other_places_are_left_to_who_reads_the_media(site: Site, kind: str) -> None:
    async with open_canary() as canary:
        video = await seen(site.url(f"/manifest/{kind}", target=canary.url()))
        assert video["protocol"] in {"m3u8_native", "http_dash_segments", "http"}
        assert canary.connections == 0
