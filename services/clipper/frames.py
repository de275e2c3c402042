"""What the packets of a source say of its frames and its sound: when they are shown, and whether that is sure. Pure.

Times are seconds on the source's own clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from libs.common.runtime.media import Media, Packet

GRACE = 0.0005
"""Times travel as milliseconds: a frame counts as at `start` when it is, to the nearest one."""
SHORTFALL = 0.5
"""Seconds that a range may reach beyond the last packet: container durations are rough."""
UNEVEN_CODECS = frozenset({"vp8"})
"""Codecs in which a packet may hold no frame to show, so that packets don't count frames."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The range that was asked for, half-open."""

    start: float
    end: float


def wanted(start_time: float, start: float, end: float) -> Wanted:
    """A client's range on the source's own clock, which begins at `start_time`."""
    return Wanted(start_time + start, start_time + end)


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """The packets around a range, in decode order. `is_whole`: the file ended with them."""

    video: tuple[Packet, ...]
    audio: tuple[Packet, ...]
    since: float | None
    """Where their reading began; None: at the file's start."""
    is_whole: bool


def last_moment(index: PacketIndex) -> float:
    return max((p.time + p.duration for p in (*index.video, *index.audio) if p.time is not None), default=0.0)


def heard_in(index: PacketIndex, want: Wanted) -> list[Packet]:
    return [p for p in index.audio if p.time is not None and p.time + p.duration > want.start and p.time < want.end - GRACE]


def _shown(index: PacketIndex) -> list[Packet]:
    """Packets whose frames can come out: from the first keyframe on, those that no edit list hides and that have some time."""
    first = next((n for n, p in enumerate(index.video) if p.is_key), len(index.video))
    return [p for p in index.video[first:] if not p.is_hidden and _time(p) is not None]


def _time(packet: Packet) -> float | None:
    """The decode time stands in for a missing one: frames of such files are shown in that order."""
    return packet.time if packet.time is not None else packet.decode_time


def frame_times(index: PacketIndex) -> list[float]:
    return sorted(time for p in _shown(index) if (time := _time(p)) is not None)


def frame_seconds(media: Media, times: Sequence[float]) -> float:
    """One frame's time: the usual distance between two, or what the container says."""
    gaps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    if gaps:
        return median(gaps)
    return 1 / media.video.frame_rate if media.video and media.video.frame_rate else 0.04


def are_frames_sure_in(media: Media, index: PacketIndex, since: float, until: float) -> bool:
    """Whether packets tell the frames from `since` on: each has a time of its own, none is hidden, none came before the first keyframe."""
    is_even = media.video is not None and media.video.codec not in UNEVEN_CODECS
    key = next((time_of(p) for p in index.video if p.is_key), None)
    within = [p for p in index.video if p.time is None or since <= p.time < until]
    has_times = all(p.time is not None and not p.is_hidden for p in within) and len({p.time for p in within}) == len(within)
    return is_even and has_times and key is not None and key <= since


def time_of(packet: Packet) -> float:
    """The time of a packet that is known to have one."""
    return packet.time if packet.time is not None else float("-inf")
