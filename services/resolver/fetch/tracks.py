"""What yt-dlp's chosen formats come to: where a track's bytes are, and how they are asked for. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Fragment:
    """One part of a DASH track. `duration` in seconds; the first part without one initialises the decoder."""

    url: str = field(repr=False)
    duration: float | None


@dataclass(frozen=True, slots=True)
class Track:
    """file: a progressive file; hls: `url` is a media playlist (RFC 8216); dash: `fragments`, in order.

    `chunk_bytes`: the site slows down requests for more (yt-dlp's downloader_options.http_chunk_size).
    """

    url: str = field(repr=False)
    protocol: Literal["file", "hls", "dash"]
    headers: Mapping[str, str] = field(repr=False)
    fragments: tuple[Fragment, ...] = ()
    has_video: bool = True
    has_audio: bool = True
    chunk_bytes: int | None = None


class Answer(Protocol):
    """An HTTP answer whose body is still to be read."""

    @property
    def url(self) -> str:
        """Where it came from, after redirects: what a playlist's relative addresses count from (RFC 3986, 5.1.3)."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in any case."""

    def read(self, amount: int) -> bytes:
        """At most so many bytes; none at the end. Raises Failure."""

    def close(self) -> None: ...


OpenUrl = Callable[[str, Mapping[str, str]], Answer]
"""Asks for a URL with these headers, Range among them. Raises Failure: not found, forbidden, blocked, site down."""
