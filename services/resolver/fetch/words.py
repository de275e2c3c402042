"""What the resolver asks of its fetching child, and the lines in which the child answers, one JSON object each. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from libs.common.domain.failures import Code
from services.resolver.fetch.refusals import LONGEST_RETRY_AFTER

LINE_BYTES = 8_000
"""No line is longer: process.py cuts longer ones."""
MOST_LINES = 10_000
MOST_FORMATS = 100
MOST_KEYFRAMES = 200
BEYOND = 1.5
"""Seconds of each track after a range: the clipper reads 1.0 s, for the frames after the range say where its last one ends."""
Text = Annotated[str, Meta(max_length=300)]
Wait = Annotated[float, Meta(ge=0, le=LONGEST_RETRY_AFTER)]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """How sites are visited: the operator's settings."""

    format: str
    """yt-dlp's format selection."""
    extractors: tuple[str, ...]
    """yt-dlp's allowed_extractors."""
    cookies_file: str | None = None
    js_runtime: str | None = None
    """A name that yt-dlp knows, or name:path."""
    socket_seconds: float = 20.0


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One source to look at, or to fetch. Seconds of the source's time; bytes.

    It goes to the child's stdin: `url` and `proxy` may hold secrets.
    """

    url: str
    start: float = 0.0
    end: float | None = None
    """None: no range is asked about."""
    is_shared: bool = False
    """The range holds those of several jobs and may reach past the source's end: each job is held against its own."""
    folder: str | None
    """Where the file is written; absolute, and nobody else's. None: only look."""
    proxy: str
    proxy_port: int
    site: Site
    max_bytes: int
    max_seconds: float
    min_clip_seconds: float


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", omit_defaults=True):
    """Something that the child says."""


class Format(Line, frozen=True, kw_only=True, tag="format"):
    """One of those that the site offers."""

    id: Text
    extension: Text = ""
    width: int | None = None
    height: int | None = None
    video: Text = ""
    audio: Text = ""
    size: int | None = None
    """Bytes; often a guess."""
    is_chosen: bool = False


class Found(Line, frozen=True, kw_only=True, tag="found"):
    """What the site says of the video, before anything of it is fetched. A duration that only the whole file can tell is None."""

    extractor: Text
    title: Text = ""
    duration: float | None = None
    size: int | None = None
    is_section: bool
    """Whether only the part that is asked for will be fetched."""


class Keyframes(Line, frozen=True, kw_only=True, tag="keyframes"):
    """Around the range, in the source's time."""

    times: tuple[float, ...]


class Progress(Line, frozen=True, kw_only=True, tag="progress"):
    share: float


class Fetched(Line, frozen=True, kw_only=True, tag="fetched"):
    """The file that is there now. `begins` and `ends` say which part of the source it holds; None: all of it.

    `is_last`: nothing comes after it.
    """

    path: str
    container: Text
    clock_offset: float | None = None
    begins: float | None = None
    ends: float | None = None
    is_last: bool = False
    duration: float | None = None
    """Of the whole source."""


class Refused(Line, frozen=True, kw_only=True, tag="refused"):
    """Why there is nothing to be had; the last line."""

    code: Code
    message: Text
    hint: Text | None = None
    retry_after: Wait | None = None


Said = Format | Found | Keyframes | Progress | Fetched | Refused

_decoder = msgspec.json.Decoder(Said)


def encoded(line: Said) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def decoded(line: str) -> Said:
    """Raises ValueError."""
    try:
        said: Said = _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("no line of the fetching child") from error
    return said
