"""Edit lists (ISO/IEC 14496-12 8.6.6) of the one shape that is taken: emptiness, then one piece of the media at its own speed. Pure."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from services.clipper.mp4.boxes import Box, NotUnderstood, full_box

LARGEST_TIME = 1 << 52
TO_THE_END = 1 << 60
LARGEST_32 = (1 << 32) - 1
LARGEST_SIGNED = (1 << 31) - 1
NORMAL_RATE = (1, 0)
MOST_EDITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """All in ticks of the track's timescale. After `delay`, the media is shown from `media_time` on, for `duration`."""

    delay: int
    media_time: int
    duration: int
    """TO_THE_END where the media is shown to its end, however long it is."""


def rescaled(ticks: int, from_scale: int, to_scale: int) -> int:
    """Rounded to the nearest tick, as ffmpeg does."""
    return (2 * ticks * to_scale + from_scale) // (2 * from_scale)


def read_edit(trak: Box, timescale: int, movie_timescale: int) -> Edit | None:
    """The track's edit; None: no edit list, the media is shown as it is. Raises NotUnderstood for any other shape."""
    edts = trak.child(b"edts")
    elst = edts.child(b"elst") if edts else None
    entries = _entries(elst) if elst else []
    if not entries:
        return None
    *empty, (duration, media_time) = entries
    if media_time < 0 or any(time != -1 for _, time in empty):
        raise NotUnderstood("an edit list of several pieces")
    delay = rescaled(sum(length for length, _ in empty), movie_timescale, timescale)
    length = rescaled(duration, movie_timescale, timescale)
    if max(delay, media_time, length) > LARGEST_TIME:
        raise NotUnderstood("an edit list of times out of bounds")
    return Edit(delay=delay, media_time=media_time, duration=length or TO_THE_END)


def _entries(elst: Box) -> list[tuple[int, int]]:
    """Duration on the movie's clock, and time in the media or -1, of each edit (8.6.6.2)."""
    (count,) = elst.unpack("I", 4)
    if count > MOST_EDITS:
        raise NotUnderstood("an edit list of several pieces")
    layout = "Qqhh" if elst.version else "Iihh"
    rows = [elst.unpack(layout, 8 + n * struct.calcsize(">" + layout)) for n in range(count)]
    if any(tuple(rate) != NORMAL_RATE for _, _, *rate in rows):
        raise NotUnderstood("an edit list that changes the speed")
    return [(duration, time) for duration, time, *_ in rows]


def edit_box(edit: Edit, timescale: int, movie_timescale: int) -> bytes:
    """An edts box."""
    delay, duration = (rescaled(ticks, timescale, movie_timescale) for ticks in (edit.delay, edit.duration))
    return _edts([*([(delay, -1)] if delay else []), (duration, edit.media_time)])


def _edts(rows: Sequence[tuple[int, int]]) -> bytes:
    is_large = any(duration > LARGEST_32 or time > LARGEST_SIGNED for duration, time in rows)
    layout = ">Qqhh" if is_large else ">Iihh"
    table = b"".join(struct.pack(layout, *row, *NORMAL_RATE) for row in rows)
    elst = full_box(b"elst", int(is_large), 0, struct.pack(">I", len(rows)), table)
    return struct.pack(">I4s", 8 + len(elst), b"edts") + elst
