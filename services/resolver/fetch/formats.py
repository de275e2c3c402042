"""What yt-dlp says of a video, judged: whether it is one that we cut, and which tracks the chosen formats are. Pure."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from libs.common.domain.failures import Code, Failure
from services.resolver.fetch import refusals
from services.resolver.fetch.tracks import Fragment, Track
from services.resolver.fetch.words import MOST_FORMATS, Format

PROTOCOLS: Mapping[str, Literal["file", "hls", "dash"]] = {
    **dict.fromkeys(("http", "https"), "file"),
    **dict.fromkeys(("m3u8", "m3u8_native"), "hls"),
    "http_dash_segments": "dash",
}
LIVE = frozenset({"is_live", "is_upcoming", "post_live"})
MOST_FRAGMENTS = 100_000
MOST_TRACKS = 2
TEXT = 300

Info = Mapping[str, Any]
"""yt-dlp's info_dict: a hostile site's claims."""


def is_list(info: Info) -> bool:
    return str(info.get("_type")) in {"playlist", "multi_video"}


def check_video(info: Info, max_seconds: float) -> None:
    """Raises Failure for what is live, or too long."""
    if info.get("is_live") or str(info.get("live_status")) in LIVE:
        raise refusals.live()
    check_duration(duration_of(info), max_seconds)


def check_duration(seconds: float | None, max_seconds: float) -> None:
    """Raises Failure."""
    if seconds is not None and seconds > max_seconds:
        raise Failure(
            Code.INPUT_TOO_LARGE,
            f"the source is {seconds:.0f} s long; at most {max_seconds:.0f} s are allowed",
            hint="Use a shorter video, or upload the part that you need.",
        )


def duration_of(info: Info) -> float | None:
    return _positive(info.get("duration"))


def size_of(info: Info) -> int | None:
    """Bytes of the chosen formats together, if each tells."""
    sizes = [_size(chosen) for chosen in _chosen(info)]
    return sum(size for size in sizes if size) if sizes and all(sizes) else None


def tracks_of(info: Info) -> tuple[Track, ...]:
    """What the chosen formats are made of: one track with all, or one of video and one of audio. Raises Failure."""
    chosen = _chosen(info)
    if any(chosen_format.get("has_drm") for chosen_format in chosen):
        raise refusals.protected()
    if not 0 < len(chosen) <= MOST_TRACKS:
        raise refusals.no_format()
    return tuple(_track(chosen_format) for chosen_format in chosen)


def formats_of(info: Info) -> list[Format]:
    """The best of those that the site offers, best last, and the chosen ones marked; storyboards are none."""
    chosen = {_text(chosen_format.get("format_id")) for chosen_format in _chosen(info)}
    offered = [given for given in _dicts(info.get("formats")) if str(given.get("protocol")) in PROTOCOLS]
    return [_format(given, chosen) for given in offered[-MOST_FORMATS:]]


def title_of(info: Info) -> str:
    return _text(info.get("title"))


def _chosen(info: Info) -> list[Info]:
    return _dicts(info.get("requested_formats")) or [info]


def _track(chosen: Info) -> Track:
    protocol = PROTOCOLS.get(str(chosen.get("protocol")))
    url = chosen.get("url")
    if protocol is None or not isinstance(url, str):
        raise refusals.unknown_protocol()
    fragments = tuple(_fragments(chosen)) if protocol == "dash" else ()
    return Track(
        url=url,
        protocol=protocol if fragments or protocol != "dash" else "file",
        headers={str(name): str(value) for name, value in _dict(chosen.get("http_headers")).items()},
        fragments=fragments,
        has_video=chosen.get("vcodec") != "none",
        has_audio=chosen.get("acodec") != "none",
        chunk_bytes=_size_in(_dict(chosen.get("downloader_options")).get("http_chunk_size")),
    )


def _fragments(chosen: Info) -> Iterator[Fragment]:
    """Each with its own URL, or a path below the track's. Raises Failure for a list that has no end."""
    base = str(chosen.get("fragment_base_url") or "")
    given = chosen.get("fragments")
    if not isinstance(given, list):
        if given is not None:  # a generator: yt-dlp's word for a stream that goes on
            raise refusals.live()
        return
    if len(given) > MOST_FRAGMENTS:
        raise Failure(Code.SOURCE_UNREADABLE, f"the source is in more than {MOST_FRAGMENTS} pieces")
    for fragment in _dicts(given):
        url = fragment.get("url") or base + str(fragment.get("path") or "")
        yield Fragment(str(url), _positive(fragment.get("duration")))


def _format(given: Info, chosen: set[str]) -> Format:
    name = _text(given.get("format_id"))
    return Format(
        id=name,
        extension=_text(given.get("ext")),
        width=_size_in(given.get("width")),
        height=_size_in(given.get("height")),
        video=_codec(given.get("vcodec")),
        audio=_codec(given.get("acodec")),
        size=_size(given),
        is_chosen=name in chosen,
    )


def _codec(value: object) -> str:
    return "" if value == "none" else _text(value)


def _size(given: Info) -> int | None:
    return _size_in(given.get("filesize")) or _size_in(given.get("filesize_approx"))


def _size_in(value: object) -> int | None:
    number = _positive(value)
    return None if number is None else int(number)


def _positive(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) and abs(value) < 1 << 60 else 0.0
    return number if math.isfinite(number) and number > 0 else None


def _text(value: object) -> str:
    return "".join(letter for letter in value if letter.isprintable())[:TEXT] if isinstance(value, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Info]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
