"""When keyframes are shown, for who wants to know where a cut without encoding can begin."""

from collections.abc import Iterator

from av.stream import Stream

from services.resolver.fetch.timed import GRACE, Beginning

READ_SECONDS = 30.0
"""Read for it at most, where no index tells."""


def keyframes(part: Beginning, start: float, end: float) -> list[float]:
    """Source times, in seconds: from the last at or before `start` to the first at or after `end`, if that is near. Raises Failure."""
    found: list[float] = []
    for time in _times(part, end, start + READ_SECONDS):
        found = [time] if time <= start + GRACE else [*found, time]
        if time >= end - GRACE:
            break
    return found


def _times(part: Beginning, end: float, limit: float) -> Iterator[float]:
    """By the index all keyframes are shown as long after they are decoded as the first."""
    first = part.first
    ticks = first.packet.time_base
    entries = part.streams[0].index_entries
    place = entries.search_timestamp(first.packet.dts or 0) if len(entries) else -1
    if place < 0 or not _is_mp4(part.streams[0]) or entries[len(entries) - 1].timestamp * ticks < end + first.zero:
        return _read(part, limit)
    begins = entries[place].timestamp
    later = (entries[number] for number in range(place, len(entries)))
    return (first.shown + float((entry.timestamp - begins) * ticks) for entry in later if entry.is_keyframe)


def _is_mp4(stream: Stream) -> bool:
    """Others' indexes say where to seek, no more."""
    return "mp4" in stream.container.format.name


def _read(part: Beginning, limit: float) -> Iterator[float]:
    for packet in part.packets:
        if packet.is_key:
            yield packet.shown
        if packet.is_picture and packet.shown >= limit:
            return
