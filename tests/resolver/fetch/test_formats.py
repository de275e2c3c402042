"""yt-dlp's claims judged: which tracks the chosen formats are, and what is no video that we cut."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.formats import check_video, duration_of, formats_of, is_list, size_of, title_of, tracks_of
from services.resolver.fetch.tracks import Fragment

URL = "https://cdn.example/v.mp4"


def info(**claims: Any) -> dict[str, Any]:
    return {"url": URL, "protocol": "https", "format_id": "18", "vcodec": "avc1", "acodec": "mp4a", **claims}


def test_a_progressive_format_is_one_track_with_its_headers():
    (track,) = tracks_of(info(http_headers={"Referer": "https://example.com/"}))
    assert (track.url, track.protocol, track.has_video, track.has_audio) == (URL, "file", True, True)
    assert track.headers == {"Referer": "https://example.com/"}


def test_formats_to_be_merged_are_two_tracks():
    video, audio = info(format_id="137", acodec="none"), info(format_id="140", vcodec="none", url="https://cdn.example/a.m4a")
    tracks = tracks_of({"requested_formats": [video, audio]})
    assert [(t.has_video, t.has_audio) for t in tracks] == [(True, False), (False, True)]


@pytest.mark.parametrize("protocol", ["m3u8", "m3u8_native"])
def test_a_media_playlist_is_an_hls_track(protocol: str):
    assert tracks_of(info(protocol=protocol))[0].protocol == "hls"


def test_dash_fragments_are_found_by_url_or_below_their_base():
    fragments = [{"url": "https://a/init"}, {"path": "1.m4s", "duration": 2}, {"path": "2.m4s", "duration": 2.5}]
    (track,) = tracks_of(info(protocol="http_dash_segments", fragment_base_url="https://b/", fragments=fragments))
    assert track.protocol == "dash"
    assert track.fragments == (Fragment("https://a/init", None), Fragment("https://b/1.m4s", 2.0), Fragment("https://b/2.m4s", 2.5))


def test_dash_in_one_file_is_a_progressive_file():
    assert tracks_of(info(protocol="http_dash_segments"))[0].protocol == "file"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"protocol": "rtmp"}, Code.SOURCE_UNREADABLE),
        ({"protocol": None}, Code.SOURCE_UNREADABLE),
        ({"url": None}, Code.SOURCE_UNREADABLE),
        ({"url": ["file:///etc/passwd"]}, Code.SOURCE_UNREADABLE),
        ({"has_drm": True}, Code.SOURCE_FORBIDDEN),
        ({"protocol": "http_dash_segments", "fragments": iter(())}, Code.SOURCE_UNREADABLE),
        ({"requested_formats": [info(), info(), info()]}, Code.SOURCE_UNREADABLE),
    ],
)
def test_what_is_not_fetched_is_refused(claims: dict[str, Any], code: Code):
    with pytest.raises(Failure) as refused:
        tracks_of(info(**claims))
    assert refused.value.code is code


@pytest.mark.parametrize(
    "claims", [{"is_live": True}, {"live_status": "is_live"}, {"live_status": "is_upcoming"}, {"live_status": "post_live"}]
)
def test_live_streams_are_refused(claims: dict[str, Any]):
    with pytest.raises(Failure, match="live"):
        check_video(info(**claims), 7200)


def test_a_recording_of_a_live_stream_is_none():
    check_video(info(live_status="was_live", is_live=False, duration=60), 7200)


def test_a_video_that_is_too_long_is_refused_before_anything_is_fetched():
    with pytest.raises(Failure) as refused:
        check_video(info(duration=7201), 7200)
    assert refused.value.code is Code.INPUT_TOO_LARGE


def test_a_size_is_told_only_when_all_parts_tell_theirs():
    assert size_of({"requested_formats": [info(filesize=10), info(filesize_approx=5.5)]}) == 15
    assert size_of({"requested_formats": [info(filesize=10), info()]}) is None


def test_the_chosen_formats_are_marked_among_those_offered():
    offered = [info(format_id="a"), info(format_id="b", vcodec="none", width=None), {"format_id": "sb0", "protocol": "mhtml"}]
    listed = formats_of(info(formats=offered, format_id="b"))
    assert [(f.id, f.video, f.is_chosen) for f in listed] == [("a", "avc1", False), ("b", "", True)]


def test_a_playlist_is_told_from_a_video():
    assert is_list({"_type": "playlist"})
    assert is_list({"_type": "multi_video"})
    assert not is_list({"_type": "video"})


def test_titles_are_cut_and_lose_what_can_not_be_printed():
    assert title_of({"title": "a\x00b\n" + "c" * 1000}) == "ab" + "c" * 298


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
CLAIMS = (
    "duration is_live live_status requested_formats formats url protocol fragments fragment_base_url http_headers filesize title vcodec"
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(CLAIMS.split(), ANYTHING)))
def test_whatever_a_site_claims_is_judged_or_refused(claims: dict[str, Any]):
    given_info = {"protocol": "https", **claims}
    with suppress(Failure):
        check_video(given_info, 7200)
        assert 1 <= len(tracks_of(given_info)) <= 2
    duration = duration_of(given_info)
    assert duration is None or duration > 0
    assert all(len(offered.id) <= 300 for offered in formats_of(given_info))
