"""A track that comes in pieces: what an HLS media playlist (RFC 8216) or DASH fragments say of them, and where to begin. Pure.

Times are seconds from the track's beginning, as sums of the claimed durations.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Any
from urllib.parse import urljoin, urlsplit

import m3u8  # type: ignore[import-untyped]  # the library has no types

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch.tracks import Fragment

MAX_PLAYLIST_BYTES = 16 << 20
MAX_PIECES = 100_000
MAX_KEYS = 10_000
"""m3u8 compares each key with all before it: 10,000 take it 8 s."""
MAX_URL = 8_192
MAX_PIECE_SECONDS = 86_400.0
IV_BYTES = 16
_LARGEST = 1 << 60


@dataclass(frozen=True, slots=True)
class Part:
    """A resource, or the `place` in it that counts."""

    url: str = field(repr=False)
    place: range | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """AES-128 of a whole piece, in CBC (RFC 8216 4.3.2.4)."""

    url: str = field(repr=False)
    iv: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """`group`: pieces of one share a clock and what initialises the decoder; each discontinuity begins another."""

    part: Part
    start: float
    duration: float
    key: Key | None = None
    initial: Part | None = None
    group: int = 0

    @property
    def end(self) -> float:
        return self.start + self.duration


@dataclass(frozen=True, slots=True)
class Pieces:
    """All of a track's, in order. `duration` None: some don't say theirs. `is_live`: more are to come."""

    all: tuple[Piece, ...] = field(repr=False)
    duration: float | None
    is_live: bool = False

    def place_at(self, time: float) -> int:
        """Of the last piece that begins at or before `time`."""
        return max(bisect_right(self.all, time, key=lambda piece: piece.start) - 1, 0)

    def places_before(self, time: float) -> Iterator[int]:
        """Where to begin reading for `time`: at its own piece, or, as what is found there begins too late, ever farther back."""
        place, step = self.place_at(time), 1
        while place > 0:
            yield place
            place, step = place - step, step * 2
        yield 0

    def runs_from(self, place: int) -> Iterator[tuple[Piece, ...]]:
        """The pieces from there on, a run for each group."""
        return (tuple(run) for _, run in groupby(self.all[place:], key=lambda piece: piece.group))

    def first_of(self, group: int) -> Piece:
        """The last piece where there is no such group: another track's playlist may have more."""
        return self.all[min(bisect_right(self.all, group - 1, key=lambda piece: piece.group), len(self.all) - 1)]


def dash_pieces(fragments: Sequence[Fragment]) -> Pieces:
    """Raises Failure."""
    if len(fragments) > MAX_PIECES:
        raise Failure(Code.INPUT_TOO_LARGE, "the video comes in too many pieces")
    has_initial = len(fragments) > 1 and fragments[0].duration is None
    initial = Part(_address("", fragments[0].url)) if has_initial else None
    media = fragments[1:] if has_initial else fragments
    known = [_duration(fragment.duration or 0.0) for fragment in media]
    starts = accumulate(known, initial=0.0)
    found = tuple(
        Piece(part=Part(_address("", fragment.url)), start=start, duration=duration, initial=initial)
        for fragment, start, duration in zip(media, starts, known, strict=False)
    )
    _unless_empty(found)
    return Pieces(found, math.fsum(known) if all(fragment.duration for fragment in media) else None)


def hls_pieces(text: str, url: str) -> Pieces:
    """A media playlist that came from `url`. Raises Failure, SOURCE_FORBIDDEN for one that is protected."""
    told = _parsed(text)
    found = tuple(_pieces(told, url))
    _unless_empty(found)
    is_live = not told["is_endlist"] and told["playlist_type"] != "vod"
    return Pieces(found, math.fsum(piece.duration for piece in found), is_live)


def _parsed(text: str) -> dict[str, Any]:
    if text.count("#EXTINF") > MAX_PIECES or text.count("#EXT-X-KEY") > MAX_KEYS or len(text) > MAX_PLAYLIST_BYTES:
        raise Failure(Code.INPUT_TOO_LARGE, "the video's playlist is too long")
    if not text.lstrip("\ufeff \r\n\t").startswith("#EXTM3U"):
        raise _unreadable()
    try:
        told: dict[str, Any] = m3u8.parse(text)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, m3u8.ParseError):
        raise _unreadable() from None
    return told


def _pieces(told: Mapping[str, Any], url: str) -> Iterator[Piece]:
    start, group, previous = 0.0, 0, Part("")
    last, initial = None, None
    sequence = _whole(told["media_sequence"] or 0)
    for number, segment in enumerate(segment for segment in told["segments"] if "uri" in segment):
        duration = _duration(segment.get("duration") or 0.0)
        initial = _initial(segment.get("init_section"), url)
        if number and (segment.get("discontinuity") or initial != last):
            group += 1
        last = initial
        previous = Part(_address(url, segment["uri"]), _place(segment.get("byterange"), _address(url, segment["uri"]), previous))
        if not segment.get("gap_tag"):
            key = _key(segment.get("key"), sequence + number, url)
            yield Piece(part=previous, start=start, duration=duration, key=key, initial=initial, group=group)
        start += duration


def _initial(section: Mapping[str, Any] | None, url: str) -> Part | None:
    """EXT-X-MAP (4.3.2.5)."""
    if not section or not section.get("uri"):
        return None
    return Part(_address(url, section["uri"]), _place(section.get("byterange"), "", Part("")))


def _place(told: str | None, url: str, previous: Part) -> range | None:
    """EXT-X-BYTERANGE (4.3.2.2): "length@offset"; without an offset it goes on where the previous piece of the same resource ended."""
    if not told:
        return None
    length, _, offset = told.partition("@")
    goes_on = previous.place.stop if previous.place and previous.url == url else 0
    begin = _whole(offset) if offset else goes_on
    size = _whole(length)
    if not size:
        raise _unreadable()
    return range(begin, begin + size)


def _key(told: Mapping[str, Any] | None, sequence: int, url: str) -> Key | None:
    """EXT-X-KEY (4.3.2.4). Without an IV the piece's sequence number is it (5.2)."""
    method = (told or {}).get("method") or "NONE"
    if told is None or method == "NONE":
        return None
    if method != "AES-128" or (told.get("keyformat") or "identity") != "identity" or not told.get("uri"):
        raise Failure(Code.SOURCE_FORBIDDEN, "the video is protected against copying")
    return Key(_address(url, told["uri"]), _iv(told["iv"]) if told.get("iv") else sequence.to_bytes(IV_BYTES))


def _iv(told: str) -> bytes:
    try:
        return int(told, 16).to_bytes(IV_BYTES)
    except (ValueError, OverflowError):
        raise _unreadable() from None


def _whole(told: object) -> int:
    try:
        number = int(str(told))
    except ValueError:
        raise _unreadable() from None
    if not 0 <= number < _LARGEST:
        raise _unreadable()
    return number


def _duration(seconds: float) -> float:
    if not 0 <= seconds <= MAX_PIECE_SECONDS:
        raise _unreadable()
    return seconds


def _address(url: str, reference: str) -> str:
    """Where a reference in the resource at `url` leads. Raises Failure(SSRF_BLOCKED) for what is no web address."""
    try:
        address = urljoin(url, reference)
        parts = urlsplit(address)
    except ValueError:
        raise _unreadable() from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Failure(Code.SSRF_BLOCKED, "a part of the video is at no web address")
    if len(address) > MAX_URL:
        raise _unreadable()
    return address


def _unless_empty(pieces: Sequence[Piece]) -> None:
    if not pieces:
        raise _unreadable()


def _unreadable() -> Failure:
    return Failure(Code.SOURCE_UNREADABLE, "the video's list of pieces can't be read")
