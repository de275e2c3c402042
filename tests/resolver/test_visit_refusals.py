"""What sites do to their visitors: each ends in time, with a code that people can act on, and with few bytes read."""

from pathlib import Path

import pytest

from libs.common.domain.failures import Code
from tests.resolver.visiting import Visitor
from tests.sites.films import short_film
from tests.sites.packagings import packaged


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, Code.SOURCE_FORBIDDEN), (403, Code.SOURCE_FORBIDDEN), (404, Code.NOT_FOUND), (410, Code.NOT_FOUND), (503, Code.RETRYABLE_ERROR)],
)
async def test_a_pages_status_decides(visitor: Visitor, status: int, code: Code):
    assert (await visitor.refusal(visitor.site.url(f"/status/{status}/page"))).code is code


async def test_a_site_that_is_asked_too_often_says_when_to_come_back(visitor: Visitor):
    refused = await visitor.refusal(visitor.site.url("/status/429/page", retry="7"))
    assert (refused.code, refused.retry_after) == (Code.RETRYABLE_ERROR, 7.0)


@pytest.mark.parametrize("status", [404, 500])
async def test_a_medias_status_decides_as_the_pages_does(visitor: Visitor, status: int):
    page = visitor.site.url("/page/video", target=visitor.site.url(f"/status/{status}/film.mp4"))
    of_page = await visitor.refusal(visitor.site.url(f"/status/{status}/page"))
    assert (await visitor.refusal(page)).code is of_page.code


@pytest.mark.parametrize(
    "fault",
    ["slow-headers", "slow-body", "stall", "reset", "long-length", "changing", "many-headers", "garbage", "hang-up"],
)
async def test_a_site_that_breaks_may_be_asked_again(visitor: Visitor, short: Path, fault: str):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart"), how=f"faults/{fault}"))
    assert refused.code is Code.RETRYABLE_ERROR


@pytest.mark.parametrize("fault", ["endless", "terabyte"])
async def test_more_than_is_allowed_is_not_read(visitor: Visitor, short: Path, fault: str):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart"), how=f"faults/{fault}"), MAX_INPUT_MB="1")
    assert refused.code is Code.INPUT_TOO_LARGE
    assert visitor.site.sent < 8 << 20


@pytest.mark.parametrize("fault", ["gzip-bomb", "huge-page"])
async def test_of_a_page_without_an_end_little_is_read(visitor: Visitor, short: Path, fault: str):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart"), how=f"faults/{fault}"))
    assert refused.code is Code.SOURCE_UNREADABLE
    assert visitor.site.sent < 20 << 20


async def test_a_range_of_another_place_is_noticed(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart"), how="faults/other-range"))
    assert refused.code in {Code.SOURCE_UNREADABLE, Code.RETRYABLE_ERROR}


@pytest.mark.parametrize(("page", "count"), [("two-videos", 2), ("rss", 10_000), ("og-many", 300)])
async def test_playlists_are_refused(visitor: Visitor, short: Path, page: str, count: int):
    target = visitor.site.file(packaged(short, "faststart"))
    refused = await visitor.refusal(visitor.site.url(f"/page/{page}", target=target, count=count))
    assert refused.code is Code.SOURCE_UNREADABLE
    assert "playlist" in refused.message


@pytest.mark.parametrize("page", ["script", "no-video", "empty", "iframe"])
async def test_a_page_without_a_video_is_refused(visitor: Visitor, short: Path, page: str):
    target = visitor.site.file(packaged(short, "faststart"))
    assert (await visitor.refusal(visitor.site.url(f"/page/{page}", target=target))).code is Code.SOURCE_UNREADABLE


@pytest.mark.parametrize("target", ["http://[::1/film.mp4", "http://[]/film.mp4", "http://127.0.0.1:99999/film.mp4"])
async def test_a_page_on_which_the_extractor_breaks_is_refused(visitor: Visitor, target: str):
    refused = await visitor.refusal(visitor.site.url("/page/video", target=target))
    assert refused.code in {Code.SOURCE_UNREADABLE, Code.SSRF_BLOCKED}


async def test_live_streams_are_refused(visitor: Visitor, short: Path):
    for url in (visitor.site.file(packaged(short, "hls-ts"), how="live"), visitor.site.file(packaged(short, "dash-live"))):
        assert "live" in (await visitor.refusal(url)).message


@pytest.mark.parametrize("kind", ["hls-drm", "dash-drm"])
async def test_protected_streams_are_refused(visitor: Visitor, kind: str):
    refused = await visitor.refusal(visitor.site.url(f"/manifest/{kind}"))
    assert (refused.code, refused.own_hint) == (Code.SOURCE_FORBIDDEN, "Protected videos can't be cut.")


@pytest.mark.parametrize(("kind", "code"), [("hls-many", Code.INPUT_TOO_LARGE), ("dash-many", Code.SOURCE_UNREADABLE)])
async def test_manifests_of_many_pieces_are_refused(visitor: Visitor, kind: str, code: Code):
    assert (await visitor.refusal(visitor.site.url(f"/manifest/{kind}", target="/x", count=200_000))).code is code


@pytest.mark.parametrize("kind", ["disguised-hls", "disguised-script"])
async def test_what_is_called_a_video_and_is_a_list_of_addresses_is_refused(visitor: Visitor, short: Path, kind: str):
    assert (await visitor.refusal(visitor.site.file(packaged(short, kind)))).code is Code.SOURCE_UNREADABLE


async def test_a_source_that_is_too_long_is_refused(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "hls-ts")), MAX_CLIP_INPUT_DURATION_SEC="10")
    assert refused.code is Code.INPUT_TOO_LARGE
    assert not [request for request in visitor.site.requests if request.path.endswith(".ts")]


async def test_a_range_outside_is_refused_before_anything_is_fetched(visitor: Visitor, short: Path):
    with pytest.raises(Exception, match="RANGE_OUTSIDE_SOURCE"):
        await visitor.visit(visitor.site.file(packaged(short, "hls-ts")), 21, 25)
    assert not [request for request in visitor.site.requests if request.path.endswith(".ts")]


async def test_sites_that_yt_dlp_does_not_know_by_name_are_off_unless_enabled(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart")), YTDLP_GENERIC="false")
    assert "YTDLP_GENERIC" in (refused.own_hint or "")
    assert visitor.site.connections == 0


async def test_extractors_can_be_allowed_by_name(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "faststart")), YTDLP_GENERIC="false", YTDLP_EXTRACTORS="vimeo")
    assert refused.code is Code.SOURCE_UNREADABLE
    assert visitor.site.connections == 0


async def test_a_format_that_the_site_does_not_have_is_refused(visitor: Visitor, short: Path):
    refused = await visitor.refusal(visitor.site.file(packaged(short, "hls-variants")), YTDLP_FORMAT="best[height>9000]")
    assert "YTDLP_FORMAT" in (refused.own_hint or "")


async def test_a_host_that_is_not_there_is_named(visitor: Visitor):
    refused = await visitor.refusal("http://nothing.invalid/film.mp4")
    assert (refused.code, "nothing.invalid" in refused.message) == (Code.SOURCE_UNREADABLE, True)


async def test_redirects_in_a_circle_end(visitor: Visitor):
    assert not (await visitor.refusal(visitor.site.url("/loop/here"))).retryable


async def test_a_site_that_does_not_show_its_video_in_time_is_left(visitor: Visitor, films: Path):
    path = packaged(short_film(films), "faststart")
    refused = await visitor.refusal(visitor.site.file(path, how="faults/slow-body"), PROBE_TIMEOUT_SEC="2", SOURCE_STALL_SEC="60")
    assert (refused.code, "within 2 s" in refused.message) == (Code.RETRYABLE_ERROR, True)
