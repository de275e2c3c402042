"""What the resolver reads in its own process of sources and sites: first bytes, playlists, what an extractor found."""

import json

from libs.common.domain.failures import Failure
from libs.common.domain.source_urls import checked_url, url_rules
from services.resolver.fetch import formats
from services.resolver.fetch.packed_audio import stamp_of
from services.resolver.fetch.pieces import hls_pieces
from services.resolver.mpeg_audio import begins_with_frames
from services.resolver.sources import container_of, tag_size
from tests.fuzz.target import Target

RULES = url_rules("", "", "80,443")


def first_bytes(data: bytes) -> None:
    container_of(data)
    assert tag_size(data) >= 0
    begins_with_frames(data)
    assert stamp_of(data) >= 0


def playlist(data: bytes) -> None:
    pieces = hls_pieces(data.decode("utf-8", "replace"), "https://example.org/a/b.m3u8")
    for piece in pieces.all:
        assert piece.duration >= 0
        assert piece.part.url.startswith(("http://", "https://"))


def extracted(data: bytes) -> None:
    """Whatever JSON can say an extractor found."""
    info = json.loads(data)
    if not isinstance(info, dict):
        return
    formats.is_list(info)
    formats.title_of(info)
    formats.size_of(info)
    formats.formats_of(info)
    formats.check_video(info, 7200)
    formats.tracks_of(info)


def address(data: bytes) -> None:
    checked_url(data.decode("utf-8", "replace"), RULES)


FIRST = [
    b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
    b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm",
    b"ID3\4\0\0\0\0\0\x3fPRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0" + bytes(8) + b"\xff\xf1\x50\x80",
    b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64",
    b"RIFF\0\0\0\0WAVEfmt ",
    b"OggS\0\2",
]
PLAYLISTS = [
    (
        b'#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI="i.mp4",BYTERANGE="700@0"\n#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x1\n'
        b"#EXTINF:6.0,\n#EXT-X-BYTERANGE:100@700\na.m4s\n#EXT-X-DISCONTINUITY\n#EXTINF:6,\n#EXT-X-BYTERANGE:100\na.m4s\n#EXT-X-ENDLIST\n"
    ),
    b"#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n#EXT-X-GAP\n#EXTINF:2,t\nb.ts\n",
]
INFOS = [
    (
        b'{"title":"a","duration":12.5,"formats":[{"format_id":"1","url":"https://a.org/x","vcodec":"avc1","acodec":"mp4a","height":720,'
        b'"filesize":10,"protocol":"https"}],"requested_formats":[{"url":"https://a.org/x","fragments":[{"url":"y","duration":2}]}]}'
    ),
]
ADDRESSES = [
    b"https://www.youtube.com/watch?v=a",
    b"http://[::1]:80/",
    b"https://user:pw@a.org/",
    "https://\u00fc\u3002org/\u00e4".encode(),
]
TARGETS = (
    Target(name="first_bytes", run=first_bytes, allowed=(), seeds=lambda: FIRST),
    Target(name="playlists", run=playlist, allowed=(Failure,), seeds=lambda: PLAYLISTS),
    Target(name="extracted", run=extracted, allowed=(Failure, ValueError, RecursionError), seeds=lambda: INFOS),
    Target(name="source_urls", run=address, allowed=(Failure,), seeds=lambda: ADDRESSES),
)
