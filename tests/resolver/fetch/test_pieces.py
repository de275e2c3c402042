"""Playlists and fragments as pieces: what RFC 8216 says of them, and what hostile ones come to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.pieces import Part, Piece, Pieces, dash_pieces, hls_pieces
from services.resolver.fetch.tracks import Fragment

URL = "https://site.example/films/one/index.m3u8?token=1"
END = "#EXT-X-ENDLIST\n"
TAGS = ("INF", "-X-KEY", "-X-MAP", "-X-BYTERANGE", "-X-DATERANGE", "-X-PART", "-X-SKIP", "-X-PROGRAM-DATE-TIME", "-X-DISCONTINUITY")
TOKENS = [*(f"#EXT{tag}:" for tag in TAGS), "METHOD=AES-128", 'URI="', "=", ",", "@", "1", "\n", "a.ts\n", "x"]
durations = st.lists(st.floats(0.04, 20), min_size=1, max_size=60)


def playlist(*lines: str, end: str = END) -> str:
    return "\n".join(("#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:10", *lines)) + "\n" + end


def made(lengths: list[float], groups: list[int] | None = None) -> Pieces:
    start, found = 0.0, []
    for number, length in enumerate(lengths):
        group = groups[number] if groups else 0
        found.append(Piece(part=Part(f"https://a.example/{number}"), start=start, duration=length, group=group))
        start += length
    return Pieces(tuple(found), start)


def refusal(text: str) -> Code:
    with pytest.raises(Failure) as refused:
        hls_pieces(text, URL)
    assert "token" not in refused.value.message
    return refused.value.code


def test_addresses_count_from_where_the_playlist_was_found() -> None:
    found = hls_pieces(playlist("#EXTINF:6,", "a.ts", "#EXTINF:4.5,", "/b.ts", "#EXTINF:1,", "https://cdn.example/c.ts"), URL)
    assert [piece.part.url for piece in found.all] == [
        "https://site.example/films/one/a.ts",
        "https://site.example/b.ts",
        "https://cdn.example/c.ts",
    ]
    assert [piece.start for piece in found.all] == [0, 6, 10.5]
    assert found.duration == 11.5
    assert not found.is_live


def test_byte_ranges_go_on_where_the_one_before_ended() -> None:
    text = playlist(
        *('#EXT-X-MAP:URI="f.mp4",BYTERANGE="700@0"', "#EXTINF:6,", "#EXT-X-BYTERANGE:1000@700", "f.mp4"),
        *("#EXTINF:6,", "#EXT-X-BYTERANGE:500", "f.mp4", "#EXTINF:6,", "#EXT-X-BYTERANGE:300@5000", "f.mp4"),
    )
    found = hls_pieces(text, URL).all
    assert [piece.part.place for piece in found] == [range(700, 1700), range(1700, 2200), range(5000, 5300)]
    assert {piece.initial for piece in found} == {Part("https://site.example/films/one/f.mp4", range(700))}


def test_keys_hold_until_the_next_and_the_sequence_number_is_the_iv_without_one() -> None:
    text = playlist(
        *("#EXT-X-MEDIA-SEQUENCE:7", "#EXTINF:6,", "a.ts", '#EXT-X-KEY:METHOD=AES-128,URI="k1"', "#EXTINF:6,", "b.ts"),
        *('#EXT-X-KEY:METHOD=AES-128,URI="k2",IV=0x000102030405060708090A0B0C0D0E0F', "#EXTINF:6,", "c.ts"),
        *("#EXT-X-KEY:METHOD=NONE", "#EXTINF:6,", "d.ts"),
    )
    clear, first, second, last = (piece.key for piece in hls_pieces(text, URL).all)
    assert clear is None
    assert last is None
    assert first is not None
    assert second is not None
    assert (first.url, first.iv) == ("https://site.example/films/one/k1", (8).to_bytes(16))
    assert (second.url, second.iv) == ("https://site.example/films/one/k2", bytes(range(16)))


def test_a_discontinuity_or_another_initialisation_begins_a_group_and_gaps_are_left_out() -> None:
    text = playlist(
        *('#EXT-X-MAP:URI="i1"', "#EXTINF:6,", "a", "#EXT-X-DISCONTINUITY", "#EXTINF:6,", "b", "#EXT-X-GAP", "#EXTINF:6,", "gone"),
        *('#EXT-X-MAP:URI="i2"', "#EXTINF:6,", "c"),
    )
    assert [(piece.part.url[-1], piece.group, piece.start) for piece in hls_pieces(text, URL).all] == [
        ("a", 0, 0),
        ("b", 1, 6),
        ("c", 2, 18),
    ]


@pytest.mark.parametrize(("kind", "is_live"), [("", True), ("#EXT-X-PLAYLIST-TYPE:EVENT", True), ("#EXT-X-PLAYLIST-TYPE:VOD", False)])
def test_a_playlist_without_an_end_is_live(kind: str, is_live: bool) -> None:
    assert hls_pieces(playlist(kind, "#EXTINF:6,", "a.ts", end=""), URL).is_live is is_live


@pytest.mark.parametrize(
    "key", ["METHOD=SAMPLE-AES", "METHOD=SAMPLE-AES-CTR", 'METHOD=AES-128,URI="k",KEYFORMAT="com.widevine"', "METHOD=AES-128"]
)
def test_protected_pieces_are_refused(key: str) -> None:
    assert refusal(playlist(f"#EXT-X-KEY:{key}", "#EXTINF:6,", "a.ts")) is Code.SOURCE_FORBIDDEN


@pytest.mark.parametrize("line", ["file:///etc/passwd", "ftp://a.example/x", "concat:a|b", "data:,x", "http:///nowhere"])
def test_only_web_addresses_are_followed(line: str) -> None:
    assert refusal(playlist("#EXTINF:6,", line)) is Code.SSRF_BLOCKED
    assert refusal(playlist(f'#EXT-X-MAP:URI="{line}"', "#EXTINF:6,", "a")) is Code.SSRF_BLOCKED
    assert refusal(playlist(f'#EXT-X-KEY:METHOD=AES-128,URI="{line}"', "#EXTINF:6,", "a")) is Code.SSRF_BLOCKED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>#EXTINF:6,",
        "#EXTM3U\n",
        playlist("#EXTINF:nan,", "a"),
        playlist("#EXTINF:-1,", "a"),
        playlist("#EXTINF:1e99,", "a"),
        playlist("#EXTINF:six,", "a"),
        playlist("#EXTINF:6,", "#EXT-X-BYTERANGE:-5@0", "a"),
        playlist("#EXTINF:6,", "#EXT-X-BYTERANGE:0@0", "a"),
        playlist("#EXTINF:6,", "#EXT-X-BYTERANGE:9" + "9" * 30 + "@0", "a"),
        playlist("#EXT-X-MEDIA-SEQUENCE:" + "9" * 40, "#EXTINF:6,", "a"),
        playlist('#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x' + "f" * 40, "#EXTINF:6,", "a"),
        playlist("#EXTINF:6,", "a" * 9000),
        playlist("#EXTINF:6,", "http://[bad/"),
        playlist("#EXT-X-STREAM-INF:BANDWIDTH=1", "other.m3u8"),
    ],
)
def test_broken_playlists_are_refused_in_plain_words(text: str) -> None:
    assert refusal(text) is Code.SOURCE_UNREADABLE


def test_a_playlist_of_too_many_pieces_or_keys_is_not_even_parsed() -> None:
    assert refusal("#EXTM3U\n" + "#EXTINF:1,\na\n" * 100_001) is Code.INPUT_TOO_LARGE
    assert refusal("#EXTM3U\n" + "#EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\na\n" * 10_001) is Code.INPUT_TOO_LARGE


@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=8)))
def test_any_text_is_read_or_refused(parts: list[str]) -> None:
    try:
        found = hls_pieces("#EXTM3U\n" + "".join(parts), URL)
    except Failure:
        return
    assert found.all
    assert all(piece.part.url.startswith(("http://", "https://")) for piece in found.all)


@given(durations, st.data())
def test_a_time_is_looked_for_in_its_own_piece_and_then_ever_farther_back(lengths: list[float], data: st.DataObject) -> None:
    pieces = made(lengths)
    time = data.draw(st.floats(0, sum(lengths)))
    places = list(pieces.places_before(time))
    first = pieces.all[places[0]]
    assert first.start <= time
    assert time < first.end or places[0] == len(lengths) - 1 or first.duration < 1e-9 + time - first.start
    assert places[-1] == 0
    assert all(later < earlier for earlier, later in pairwise(places))
    assert len(places) <= len(lengths).bit_length() + 1


@given(durations, st.data())
def test_runs_hold_all_later_pieces_each_of_one_group(lengths: list[float], data: st.DataObject) -> None:
    changes = [data.draw(st.booleans()) for _ in lengths]
    groups = [sum(changes[1 : n + 1]) for n in range(len(lengths))]
    pieces = made(lengths, groups)
    place = data.draw(st.integers(0, len(lengths) - 1))
    runs = list(pieces.runs_from(place))
    assert [piece for run in runs for piece in run] == list(pieces.all[place:])
    assert all(len({piece.group for piece in run}) == 1 for run in runs)
    for group in set(groups):
        assert pieces.first_of(group) == pieces.all[groups.index(group)]
    assert pieces.first_of(groups[-1] + 1) == pieces.all[-1]


def test_dash_fragments_begin_with_what_initialises_the_decoder() -> None:
    fragments = [Fragment("https://a.example/init", None), Fragment("https://a.example/1", 4.0), Fragment("https://a.example/2", 3.5)]
    found = dash_pieces(fragments)
    assert [(piece.start, piece.duration, piece.initial) for piece in found.all] == [
        (0.0, 4.0, Part("https://a.example/init")),
        (4.0, 3.5, Part("https://a.example/init")),
    ]
    assert found.duration == 7.5


def test_dash_fragments_that_do_not_tell_their_duration_are_read_from_the_first() -> None:
    found = dash_pieces([Fragment(f"https://a.example/{n}", None) for n in range(3)])
    assert found.duration is None
    assert list(found.places_before(100.0))[-1] == 0


def test_dash_fragments_at_no_web_address_are_refused() -> None:
    with pytest.raises(Failure) as refused:
        dash_pieces([Fragment("file:///etc/passwd", 1.0)])
    assert refused.value.code is Code.SSRF_BLOCKED
