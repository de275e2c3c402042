"""Times and ranges as people write them, read into seconds and written back. Pure."""

import re
from typing import NamedTuple

LATEST = 100 * 3600
"""Seconds: what the service takes, too."""
ACCEPTED = "write a time as 90, 1:30, 1:02:03.5, 1m30s or 1h2m"
ACCEPTED_RANGE = "write a range as 10:15-15:30 (or '*10:15-15:30'), or as 10:15-+30 for 30 s from there"

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")
_CLOCK = re.compile(r"(?:([0-9]{1,2}):)?([0-9]{1,4}):([0-9]{2}(?:\.[0-9]{1,9})?)")
_UNITS = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,6}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})s)?", re.IGNORECASE)
_BELOW = 60


class Range(NamedTuple):
    """Seconds of the source's own time."""

    start: float
    end: float


def seconds_in(text: str) -> float:
    """To the millisecond. Raises ValueError, in words for who typed it."""
    written = text.strip().replace(",", ".")
    found = _read(written)
    if found is None:
        raise ValueError(f"{text!r} is no time: {ACCEPTED}")
    if round(found, 3) >= LATEST:
        raise ValueError(f"{text!r} is too late: a time must be less than 100 hours")
    return round(found, 3)


def _read(written: str) -> float | None:
    if _SECONDS.fullmatch(written):
        return float(written)
    if clock := _CLOCK.fullmatch(written):
        hours, minutes, seconds = clock.groups()
        fits = float(seconds) < _BELOW and (hours is None or int(minutes) < _BELOW)
        return _sum(hours, minutes, seconds) if fits else None
    if (units := _UNITS.fullmatch(written)) and any(units.groups()):
        return _sum(*units.groups())
    return None


def _sum(hours: str | None, minutes: str | None, seconds: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def range_of(start: str, end: str) -> Range:
    """`end` may be a length from the start, as in `+30`. Raises ValueError."""
    begins = seconds_in(start)
    length = end.strip().removeprefix("+")
    ends = seconds_in(length) if length == end.strip() else round(begins + seconds_in(length), 3)
    if ends <= begins:
        raise ValueError(f"the end ({clock(ends)}) must be after the start ({clock(begins)}); +30 means 30 s from the start")
    return Range(begins, ends)


def range_in(text: str) -> Range:
    """One word: `10:15-15:30`, with or without yt-dlp's `*`. Raises ValueError."""
    start, dash, end = text.strip().removeprefix("*").partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no range: {ACCEPTED_RANGE}")
    return range_of(start, end)


def clock(seconds: float) -> str:
    """`1:02:03.5`, `0:07`: what `seconds_in` reads back, to the millisecond."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    fraction = f".{thousandths:03}".rstrip("0") if thousandths else ""
    return f"{hours}:{minutes:02}:{rest:02}{fraction}" if hours else f"{minutes}:{rest:02}{fraction}"


def span(seconds: float) -> str:
    """`1h02m03.5s`, `7s`: the same without a colon, which not every file system takes."""
    higher, _, last = clock(seconds).rpartition(":")
    return f"{float(last):g}s" if higher == "0" else f"{higher.replace(':', 'h')}m{last}s"
