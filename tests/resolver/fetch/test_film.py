"""Sections of real files from a real server are exact in the source's time, and cost about what they hold."""

import re
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.film import open_film
from services.resolver.fetch.tracks import Track
from tests.media import converted, gop, hevc, make, remuxed, told, turned
from tests.resolver.fetch.cutting import check_exact, dash_track, heard, open_at, section_of, shown, source_times, track
from tests.resolver.fetch.serving import Site, open_site, open_url
from tests.sites.packagings import packaged
from tests.thorough import some

FILES = ("faststart", "moov-at-end", "fragmented", "mkv", "ts")
TS_PIECES = (
    *("hls-ts", "hls-aes", "hls-aes-sequence", "hls-clock-wrap", "hls-discontinuity"),
    *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("hls-ts-ranges", "hls-late-clock")),
)


@pytest.mark.parametrize("kind", FILES)
def test_a_section_of_a_file_is_exact(kind: str, short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, kind)
    section = section_of(site, path, tmp_path)
    check_exact(section, source_times(path))
    assert section.container == ("matroska" if kind == "mkv" else "mov")


@pytest.mark.parametrize("kind", TS_PIECES)
def test_a_section_of_an_hls_stream_is_exact(kind: str, short: Path, site: Site, tmp_path: Path) -> None:
    """However it is packaged, the pictures of the same film come at the same times: as in the transport stream that ffmpeg makes of it."""
    section = section_of(site, packaged(short, kind), tmp_path)
    check_exact(section, source_times(packaged(short, "ts")))


@pytest.mark.parametrize("kind", ["hls-fmp4", "hls-fmp4-ranges"])
def test_a_section_of_fragmented_mp4_pieces_is_exact(kind: str, short: Path, site: Site, tmp_path: Path) -> None:
    """What only primes the audio decoder comes before 0:00."""
    check_exact(section_of(site, packaged(short, kind), tmp_path), {n: n / 10 for n in range(200)})


def test_sound_stays_in_step(short: Path, site: Site, tmp_path: Path) -> None:
    """A beep at each whole second of the film; the transport stream's 0:00 is where its sound begins, before the first picture."""
    for kind in some(("faststart", "mkv", "hls-ts", "hls-fmp4", "ts"), 3):
        folder = tmp_path / kind
        folder.mkdir()
        section = section_of(site, packaged(short, kind), folder)
        picture = shown(section)
        late = picture[80] - 8.0
        found = [beep - late for beep in heard(section)]
        inside = [beep for beep in found if 7.3 <= beep < 12.5]
        assert [round(beep) for beep in inside] == [8, 9, 10, 11, 12]
        assert max(abs(beep - round(beep)) for beep in inside) < 0.003, kind


@pytest.mark.parametrize(
    ("name", "rate", "video", "after"),
    [
        ("ntsc.mp4", "30000/1001", gop(60), ()),
        ("late.mp4", "30", gop(50, bframes=3), ("-output_ts_offset", "12.345")),
        ("hevc.mp4", "25", hevc(50), ()),
        pytest.param("odd.mp4", "24000/1001", gop(48), ("-video_track_timescale", "24000"), marks=pytest.mark.thorough),
        ("late.ts", "30000/1001", gop(60), ("-output_ts_offset", "37000")),
        ("late.mkv", "25", gop(50), ("-output_ts_offset", "900")),
    ],
)
def test_any_clock_is_told_exactly(name: str, rate: str, video: tuple[str, ...], after: tuple[str, ...], tmp_path: Path) -> None:
    path = make(tmp_path / name, frames=330, rate=rate, video=video, after=after)
    (tmp_path / "out").mkdir()
    with open_site(tmp_path) as site:
        section = section_of(site, path, tmp_path / "out", 6.2, 9.9)
    check_exact(section, source_times(path), 6.2, 9.9)
    assert section.begins is not None
    assert 4.0 <= section.begins <= 6.2


def test_hevc_is_tagged_for_players_and_a_turned_picture_stays_turned(tmp_path: Path) -> None:
    path = turned(make(tmp_path / "hevc.mp4", frames=100, rate="25", video=hevc(50)))
    (tmp_path / "out").mkdir()
    with open_site(tmp_path) as site:
        section = section_of(site, path, tmp_path / "out", 1.0, 2.0)
    assert told(section.path, "stream=codec_tag_string", "-select_streams", "v") == ["hvc1"]
    assert "-90" in told(section.path, "stream_side_data=rotation", "-select_streams", "v")


def test_what_mp4_does_not_take_goes_into_another_container(tmp_path: Path) -> None:
    path = make(tmp_path / "raw.mov", frames=100, rate="30000/1001", video=("-c:v", "mpeg4", "-g", "15"), audio=("-c:a", "pcm_s16le"))
    (tmp_path / "out").mkdir()
    with open_site(tmp_path) as site:
        section = section_of(site, path, tmp_path / "out", 1.0, 2.0)
    check_exact(section, source_times(path), 1.0, 2.0)
    assert told(section.path, "stream=codec_name") == ["mpeg4", "pcm_s16le"]


def test_the_beginning_and_the_end_of_a_film_can_be_had(short: Path, site: Site, tmp_path: Path) -> None:
    for name, start, end in (("first", 0.0, 1.0), ("last", 19.0, 20.0)):
        for kind in ("faststart", "hls-ts"):
            folder = tmp_path / f"{name}-{kind}"
            folder.mkdir()
            section = section_of(site, packaged(short, kind), folder, start, end)
            found = shown(section)
            assert {n for n in range(200) if start <= n / 10 < end} <= found.keys()
            assert section.ends is not None
            assert section.ends >= end


def test_picture_and_sound_of_two_tracks_become_one_section(short: Path, site: Site, tmp_path: Path) -> None:
    both = [track(site, packaged(short, "no-sound"), has_audio=False), track(site, packaged(short, "m4a"), has_video=False)]
    with open_film(list(reversed(both)), open_url) as film:
        section = film.section(7.3, 11.8, tmp_path, lambda _: None)
        assert film.size == sum(packaged(short, kind).stat().st_size for kind in ("no-sound", "m4a"))
    check_exact(section, {n: n / 10 for n in range(200)})
    found = heard(section)
    assert max(abs(beep - round(beep)) for beep in found if 7.3 < beep < 12) < 0.003
    assert len([beep for beep in found if 7.3 < beep < 12]) == 4


def test_hls_whose_sound_has_a_playlist_of_its_own_becomes_one_section(short: Path, site: Site, tmp_path: Path) -> None:
    folder = packaged(short, "hls-own-sound").parent
    both = [track(site, folder / "picture/index.m3u8"), track(site, folder / "sound/index.m3u8", has_video=False)]
    with open_film(both, open_url) as film:
        section = film.section(7.3, 11.8, tmp_path, lambda _: None)
    check_exact(section, {n: n / 10 for n in range(200)})


def test_packed_audio_is_in_step_by_the_tags_of_its_pieces(short: Path, tmp_path: Path) -> None:
    """RFC 8216 3.4: pieces of bare AAC, each after an ID3 tag with the time of its first packet on the picture's clock."""
    pictures = packaged(short, "hls-own-sound").parent / "picture"
    for piece in pictures.iterdir():
        (tmp_path / piece.name).write_bytes(piece.read_bytes())
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6"]
    begins = float(told(pictures / "index0.ts", "format=start_time")[0])
    sound = converted(tmp_path / "sound.aac", "-i", str(short), "-vn", "-c:a", "copy").read_bytes()
    frames = re.split(rb"(?=\xff\xf1[\x4c\x50])", sound)[1:]
    for number, at in enumerate(range(0, len(frames), 300)):
        stamp = round((begins + (at - 1) * 1024 / 48_000) * 90_000).to_bytes(8)
        owner = b"com.apple.streaming.transportStreamTimestamp\0" + stamp
        tag = b"ID3\4\0\0" + bytes([0, 0, 0, 10 + len(owner)]) + b"PRIV" + len(owner).to_bytes(4) + b"\0\0" + owner
        (tmp_path / f"sound{number}.aac").write_bytes(tag + b"".join(frames[at : at + 300]))
        lines += ["#EXTINF:6.4,", f"sound{number}.aac"]
    (tmp_path / "sound.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    (tmp_path / "out").mkdir()
    with open_site(tmp_path) as site:
        both = [track(site, tmp_path / "index.m3u8"), track(site, tmp_path / "sound.m3u8", has_video=False)]
        with open_film(both, open_url) as film:
            section = film.section(7.3, 11.8, tmp_path / "out", lambda _: None)
    check_exact(section, {n: n / 10 for n in range(200)})
    inside = [beep for beep in heard(section) if 7.3 < beep < 12.5]
    assert [round(beep) for beep in inside] == [8, 9, 10, 11, 12]
    assert max(abs(beep - round(beep)) for beep in inside) < 0.003


def test_dash_fragments_become_a_section(short: Path, site: Site, tmp_path: Path) -> None:
    folder = packaged(short, "dash").parent
    both = [dash_track(site, folder, 0, 6.3, has_audio=False), dash_track(site, folder, 1, 6.3, has_video=False)]
    with open_film(both, open_url) as film:
        section = film.section(7.3, 11.8, tmp_path, lambda _: None)
        keys = film.keyframes(7.3, 11.8)
    lead = shown(section)[80] - 8.0
    assert 0 <= lead < 0.5
    check_exact(section, {n: n / 10 + lead for n in range(200)})
    assert keys == pytest.approx([n / 10 + lead for n in (63, 84, 105, 126)], abs=1e-4)


@pytest.mark.parametrize("kind", ["faststart", "fragmented", "mkv", "hls-ts", "hls-fmp4"])
def test_keyframes_near_a_range_are_told(kind: str, short: Path, site: Site) -> None:
    with open_at(site, packaged(short, kind)) as film:
        keys = film.keyframes(7.3, 11.8)
    lead = keys[0] - 6.3
    assert 0 <= lead < 0.25
    assert keys == pytest.approx([n / 10 + lead for n in (63, 84, 105, 126)], abs=1e-4)


def test_duration_size_and_liveness_are_told_before_anything_is_fetched(short: Path, site: Site) -> None:
    for kind in ("faststart", "moov-at-end", "mkv", "ts", "hls-ts", "hls-fmp4"):
        with open_at(site, packaged(short, kind)) as film:
            assert film.duration == pytest.approx(20, abs=0.25)
            assert film.allows_sections
            assert not film.is_live
            assert film.size == (None if "hls" in kind else packaged(short, kind).stat().st_size)


def test_progress_is_said_as_shares(tmp_path: Path) -> None:
    path = make(tmp_path / "film.mp4", frames=300)
    shares: list[float] = []
    with open_site(tmp_path) as site, open_at(site, path) as film:
        film.whole(tmp_path, 1 << 30, shares.append)
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_a_range_after_the_end_is_refused(short: Path, site: Site, tmp_path: Path) -> None:
    for kind in ("faststart", "hls-ts"):
        with pytest.raises(Failure) as refused:
            section_of(site, packaged(short, kind), tmp_path, 20.5, 22.0)
        assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


def test_a_playlist_that_promises_more_than_there_is_is_found_out(short: Path, tmp_path: Path) -> None:
    folder = packaged(short, "hls-ts").parent
    for piece in folder.iterdir():
        (tmp_path / piece.name).write_bytes(piece.read_bytes())
    playlist = tmp_path / "index.m3u8"
    playlist.write_text(playlist.read_text().replace("#EXTINF:", "#EXTINF:1"))
    with open_site(tmp_path) as site, pytest.raises(Failure) as refused:
        section_of(site, playlist, tmp_path, 45.0, 47.0)
    assert refused.value.code is Code.RANGE_OUTSIDE_SOURCE


def test_a_site_without_ranges_gives_the_whole_file(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "faststart")
    site.faults[str(path.relative_to(site.folder))] = "without_ranges"
    with open_at(site, path) as film:
        assert not film.allows_sections
        assert film.duration is None
        section = film.whole(tmp_path, 1 << 30, lambda _: None)
    assert section.path.read_bytes() == path.read_bytes()
    assert (section.clock_offset, section.container) == (None, "mov")


def test_two_files_without_ranges_are_joined(short: Path, site: Site, tmp_path: Path) -> None:
    paths = [packaged(short, "no-sound"), packaged(short, "m4a")]
    site.faults.update({str(path.relative_to(site.folder)): "without_ranges" for path in paths})
    with open_film([track(site, path, has_audio=bool(n), has_video=not n) for n, path in enumerate(paths)], open_url) as film:
        section = film.whole(tmp_path, 1 << 30, lambda _: None)
    assert shown(section) == pytest.approx({n: n / 10 for n in range(200)}, abs=1e-4)


def test_a_file_that_is_too_large_is_given_up_at_the_limit(short: Path, site: Site, tmp_path: Path) -> None:
    with open_at(site, packaged(short, "faststart")) as film, pytest.raises(Failure) as refused:
        film.whole(tmp_path, 100_000, lambda _: None)
    assert refused.value.code is Code.INPUT_TOO_LARGE


def test_sound_alone_has_sections_too(short: Path, site: Site, tmp_path: Path) -> None:
    for kind in ("m4a", "hls-sound-only"):
        folder = tmp_path / kind
        folder.mkdir()
        section = section_of(site, packaged(short, kind), folder)
        found = heard(section)
        assert len([beep for beep in found if 7.3 < beep < 12.2]) == 5
        assert max(abs(beep - round(beep)) for beep in found if 7.3 < beep < 12.2) < 0.025


def test_formats_that_are_not_cut_remotely_are_fetched_whole(short: Path, site: Site, tmp_path: Path) -> None:
    path = packaged(short, "mp3")
    with open_film([Track(site.url(str(path.relative_to(site.folder))), "file", {}, chunk_bytes=50_000)], open_url) as film:
        assert not film.allows_sections
        section = film.whole(tmp_path, 1 << 30, lambda _: None)
    assert section.path.read_bytes() == path.read_bytes()
    assert section.container == "mp3"
    assert max(len(asked.range) for asked in site.asked if asked.range) <= 65_536


def test_only_the_film_itself_is_copied(tmp_path: Path) -> None:
    """No data, no second sound."""
    one = make(tmp_path / "one.mp4", frames=150)
    path = remuxed(one, tmp_path / "two.mp4", "-map", "1:a", "-metadata", "title=secret", "-timecode", "00:00:00:00", plus=one)
    (tmp_path / "out").mkdir()
    with open_site(tmp_path) as site:
        section = section_of(site, path, tmp_path / "out", 1.0, 2.0)
    assert told(section.path, "stream=codec_type") == ["video", "audio"]
    assert b"secret" not in section.path.read_bytes()
