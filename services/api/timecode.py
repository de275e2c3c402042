"""Times as clients write them, read into whole milliseconds. Pure."""

import math
import re

LATEST = 100 * 3600 * 1000 - 1
"""99:59:59.999, in milliseconds: no source is as long, and no arithmetic on it can go wrong."""

_CLOCK = re.compile(r"(?:([0-9]{1,2}):)?([0-9]{1,4}):([0-9]{2}(?:\.[0-9]{1,20})?)")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,20})?")
_UNITS = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,6}(?:\.[0-9]{1,20})?)s)?")


def milliseconds(time: float | str) -> int:
    """`HH:MM:SS(.mmm)`, `MM:SS(.mmm)`, `1h2m3.5s`, or seconds as a number or its digits; rounded to the millisecond.

    Raises ValueError, in words for the client, for anything else and for what lies beyond LATEST.
    """
    seconds = _seconds(time.strip()) if isinstance(time, str) else float(time)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("a time can't be negative, infinite or no number")
    if seconds * 1000 > LATEST:
        raise ValueError("a time must be less than 100 hours")
    return round(seconds * 1000)


def _seconds(text: str) -> float:
    if _SECONDS.fullmatch(text):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        return _clock(*clock.groups())
    if text and (units := _UNITS.fullmatch(text)):
        return _sum(*units.groups(default="0"))
    raise ValueError("write a time as HH:MM:SS.mmm, MM:SS, seconds, or 1m30s")


def _clock(hours: str | None, minutes: str, seconds: str) -> float:
    """Without hours the minutes may run past 59, as in 90:00."""
    if float(seconds) >= 60 or (hours and int(minutes) >= 60):  # noqa: PLR2004  as on any clock
        raise ValueError("minutes and seconds go up to 59")
    return _sum(hours or "0", minutes, seconds)


def _sum(hours: str, minutes: str, seconds: str) -> float:
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
