"""Sites that break off, change, lie, refuse or protect: the Failure says so, and names no address."""

import re
from pathlib import Path
from threading import Event

import pytest

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.film import open_film
from services.resolver.fetch.gateway import Resource, listen, open_gateway
from services.resolver.fetch.outside import Chunks
from services.resolver.fetch.tracks import Fragment, Track
from tests.media import gop, make
from tests.resolver.fetch.cutting import open_at, section_of, shown, track
from tests.resolver.fetch.serving import Site, open_site, open_url
from tests.sites.films import FOLDER, hour_film
from tests.sites.packagings import packaged


def name_in(site: Site, path: Path) -> str:
    return str(path.relative_to(site.folder))


def refused(site: Site, path: Path, folder: Path) -> Code:
    with pytest.raises(Failure) as failed:
        section_of(site, path, folder)
    assert "127.0.0.1" not in failed.value.message
    return failed.value.code


def test_a_piece_that_is_gone_is_the_sites_failure_and_not_the_files(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "hls-ts")
    site.faults[name_in(site, path.parent / "index1.ts")] = "missing"
    assert refused(site, path, tmp_path) is Code.NOT_FOUND


def test_a_piece_beyond_the_range_is_not_missed(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "hls-ts")
    site.faults[name_in(site, path.parent / "index3.ts")] = "missing"
    section = section_of(site, path, tmp_path, 1.0, 3.0)
    assert set(range(10, 30)) <= shown(section).keys()


@pytest.mark.parametrize("fault", ["wrong_range", "grows"])
def test_an_answer_to_another_question_is_noticed(fault: str, short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "moov-at-end")
    site.faults[name_in(site, path)] = fault
    assert refused(site, path, tmp_path) is Code.RETRYABLE_ERROR


def test_a_site_that_breaks_off_is_asked_to_go_on(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "faststart")
    site.faults[name_in(site, path)] = "breaks_off"
    assert set(range(73, 118)) <= shown(section_of(site, path, tmp_path)).keys()


def test_a_piece_that_breaks_off_is_worth_another_try(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "hls-ts")
    site.faults[name_in(site, path.parent / "index1.ts")] = "breaks_off"
    assert refused(site, path, tmp_path) is Code.RETRYABLE_ERROR


def test_an_encrypted_mp4_is_protected(tmp_path: Path) -> None:
    path = make(
        tmp_path / "film.mp4",
        frames=60,
        audio=None,
        after=("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16),
    )
    with open_site(tmp_path) as site, pytest.raises(Failure) as failed:
        section_of(site, path, tmp_path, 0.5, 1.0)
    assert failed.value.code is Code.SOURCE_FORBIDDEN


def test_a_page_or_garbage_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<html>" + b"x" * 5000)
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n#EXTINF:20,\npage.html\n#EXT-X-ENDLIST\n")
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 5000)
    with open_site(tmp_path) as site:
        for name in ("page.html", "index.m3u8", "cut.mp4"):
            assert refused(site, tmp_path / name, tmp_path) is Code.SOURCE_UNREADABLE


def test_an_address_in_a_manifest_that_is_no_web_address_is_blocked(tmp_path: Path) -> None:
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n#EXTINF:6,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    with open_site(tmp_path) as site:
        assert refused(site, tmp_path / "index.m3u8", tmp_path) is Code.SSRF_BLOCKED
        with pytest.raises(Failure) as failed, open_film([Track("", "dash", {}, (Fragment("file:///etc/passwd", 6.0),))], open_url):
            pass
    assert failed.value.code is Code.SSRF_BLOCKED


def test_a_live_stream_is_told_without_reading_its_pieces(short: Path, site: Site, tmp_path: Path) -> None:
    text = packaged(short, "hls-ts").read_text()
    (tmp_path / "index.m3u8").write_text(re.sub("#EXT-X-(ENDLIST|PLAYLIST-TYPE:VOD)\n", "", text))
    with open_site(tmp_path) as live, open_at(live, tmp_path / "index.m3u8") as film:
        assert film.is_live
        assert not film.allows_sections
    assert [asked.path for asked in live.asked] == ["index.m3u8"]


def test_a_playlist_that_was_moved_leads_to_pieces_beside_its_new_place(short: Path, site: Site, tmp_path: Path) -> None:
    name = name_in(site, packaged(short, "hls-ts"))
    with open_film([Track(site.url(f"moved/{name}"), "hls", {})], open_url) as film:
        film.section(7.3, 8.0, tmp_path, lambda _: None)
    assert all("moved" not in asked.path for asked in site.asked)


def test_a_change_of_format_within_the_range_is_refused(tmp_path: Path) -> None:
    for name, size in (("a", 60), ("b", 61)):
        make(tmp_path / f"{name}.ts", frames=120, video=gop(size, bframes=2 if name == "a" else 0))
    (tmp_path / "index.m3u8").write_text("#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nb.ts\n#EXT-X-ENDLIST\n")
    with open_site(tmp_path) as site, pytest.raises(Failure) as failed:
        section_of(site, tmp_path / "index.m3u8", tmp_path, 3.0, 5.0)
    assert failed.value.code is Code.SOURCE_UNREADABLE
    assert "changes its format" in failed.value.message


@pytest.mark.parametrize("kind", ["faststart", "moov-at-end", "hls-ts", "hls-fmp4"])
def test_ten_seconds_of_an_hour_cost_little(kind: str, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    path = packaged(hour_film(Path(pytestconfig.cache.mkdir(FOLDER))), kind)
    total = sum(file.stat().st_size for file in path.parent.iterdir())
    with open_site(path.parent) as site:
        section = section_of(site, path, tmp_path, 1800.3, 1810.3)
        assert set(range(18_003, 18_103)) <= shown(section).keys()
        assert section.bytes_read < 0.05 * total
        assert site.sent < 0.05 * total


def test_a_site_that_wants_small_requests_gets_them(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "faststart")
    with open_film([Track(track(site, path).url, "file", {}, chunk_bytes=70_000)], open_url) as film:
        film.section(7.3, 11.8, tmp_path, lambda _: None)
    assert max(len(asked.range) for asked in site.asked if asked.range) <= 70_000


def test_the_gateway_gives_nothing_to_who_does_not_know_the_path() -> None:
    def chunks(_: int) -> Chunks:
        yield b"film"

    with open_gateway(listen()) as gateway:
        url = gateway.add(Resource(None, chunks))
        with pytest.raises(Failure):
            open_url(url[:-1], {})
        assert open_url(url, {}).read(100) == b"film"
        with pytest.raises(Failure):
            open_url(url, {})


def test_when_the_reader_goes_away_the_site_is_left_at_once() -> None:
    closed, given = Event(), []

    def chunks(_: int) -> Chunks:
        try:
            while True:
                given.append(1)
                yield bytes(65_536)
        finally:
            closed.set()

    with open_gateway() as gateway:
        answer = open_url(gateway.add(Resource(None, chunks)), {})
        answer.read(100_000)
        answer.close()
        assert closed.wait(5)
    assert len(given) < 200
