"""How ffmpeg by itself makes a clip that can't be spliced: picture encoded anew, or sound alone. Pure.

All times are seconds on the source's own clock unless they are said to be on the clip's, which begins at `CutPlan.origin`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Accuracy
from libs.common.runtime.media import Media, Packet
from services.clipper.frames import (
    GRACE,
    SHORTFALL,
    PacketIndex,
    Wanted,
    are_frames_sure_in,
    frame_seconds,
    frame_times,
    heard_in,
    last_moment,
    time_of,
)
from services.clipper.splice_plan import HELD_FRAMES, Reason

EDGE = 0.25
"""Of a frame: nearer to the frame than half, so that a clock that counts frames (AVI's) rounds an edge to that frame."""
COPYABLE_AUDIO = frozenset({"aac", "mp3"})
READ_BEFORE = 2.0
"""Seconds: sound may lie that much before its picture in a file."""
LONGEST_AUDIO_PACKET = 0.04
"""Seconds: audio begins at the packet nearest to the first frame, so half of one is the most that it can be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPlan:
    """How one clip is made. Only sound without picture is ever copied."""

    how: Literal["copy", "reencode"]
    reason: Reason
    seek: float | None
    """Where reading begins: the keyframe that the first frame needs, or before it. None: the file's start."""
    origin: float
    """The clip's zero."""
    end: float
    """Where the clip ends: the last frame has been shown for its time."""
    frames: tuple[float, ...]
    """When each frame is shown, on the clip's clock."""
    is_held: bool
    """The first frame comes late in the range, and is shown from the clip's zero on."""
    are_frames_sure: bool
    """False where packets don't tell exactly which frames come out: then only the duration can be checked."""
    first_edge: float
    last_edge: float
    """On the clip's clock, a little before the first frame and before the one after the last; see EDGE."""
    audio_end: float
    """On the clip's clock: nothing is heard from here on."""
    has_video: bool
    has_audio: bool

    @property
    def duration(self) -> float:
        return self.end - self.origin


def covers(index: PacketIndex, media: Media, want: Wanted) -> bool:
    """Whether the index holds the keyframe that the range's first frame needs; else reading must begin earlier."""
    if media.video is None or index.since is None:
        return True
    first_key = next((p.time for p in index.video if p.is_key and p.time is not None), None)
    return first_key is not None and first_key <= want.start + GRACE


def cut_plan(media: Media, index: PacketIndex, want: Wanted, accuracy: Accuracy, reason: Reason) -> CutPlan:
    """`reason`: why it was not spliced. Raises Failure where there is nothing to cut."""
    if index.is_whole and want.end > last_moment(index) + SHORTFALL:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the range reaches beyond the end of the source")
    if media.video is None:
        return _audio_plan(media, index, want, accuracy)
    if index.since is None and not any(p.is_key for p in index.video):
        raise Failure(Code.SOURCE_UNREADABLE, "the source's picture can't be decoded")
    return replace(_reencode(media, index, want), reason=reason)


def sound_plan(media: Media, origin: float, end: float) -> CutPlan | None:
    """The sound of [origin, end) alone, on the source's clock; None where the source has none."""
    if media.audio is None:
        return None
    seek = origin - READ_BEFORE if origin - READ_BEFORE > media.start_time else None
    return _sound("reencode", Reason.AUDIO_ONLY, seek, origin, end, audio_end=end - origin)


def _audio_plan(media: Media, index: PacketIndex, want: Wanted, accuracy: Accuracy) -> CutPlan:
    heard = heard_in(index, want)
    if not heard:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the source has nothing to hear in this range")
    end, audio_end = min(want.end, max(time_of(p) + p.duration for p in heard)), want.end - want.start
    if accuracy == "fast" and _is_audio_copyable(media, index):
        return _sound("copy", Reason.FAST, index.since, _nearest(heard, want.start), end, audio_end=audio_end)
    return _sound("reencode", Reason.AUDIO_ONLY, index.since, want.start, end, audio_end=audio_end)


def _sound(how: Literal["copy", "reencode"], reason: Reason, seek: float | None, origin: float, end: float, *, audio_end: float) -> CutPlan:
    """Without picture."""
    return CutPlan(
        how=how,
        reason=reason,
        seek=seek,
        origin=origin,
        end=end,
        frames=(),
        is_held=False,
        are_frames_sure=False,
        first_edge=0.0,
        last_edge=0.0,
        audio_end=audio_end,
        has_video=False,
        has_audio=True,
    )


def _nearest(heard: Sequence[Packet], start: float) -> float:
    return min((time_of(p) for p in heard), key=lambda time: abs(time - start))


def _is_audio_copyable(media: Media, index: PacketIndex) -> bool:
    longest = max((p.duration for p in index.audio), default=0.0)
    return media.audio is not None and media.audio.codec in COPYABLE_AUDIO and 0 < longest <= LONGEST_AUDIO_PACKET


def _reencode(media: Media, index: PacketIndex, want: Wanted) -> CutPlan:
    times = frame_times(index)
    first, after = bisect_left(times, want.start - GRACE), bisect_left(times, want.end - GRACE)
    if first == after:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the source has no picture in this range")
    return replace(
        _between(media, index, want, times, first, after, is_held=times[first] - want.start > HELD_FRAMES * frame_seconds(media, times)),
        are_frames_sure=are_frames_sure_in(media, index, times[first], want.end),
    )


def _between(media: Media, index: PacketIndex, want: Wanted, times: Sequence[float], first: int, after: int, *, is_held: bool) -> CutPlan:
    """The clip of the frames times[first:after]; a held first frame is shown from `want.start` on."""
    frame = frame_seconds(media, times)
    origin = want.start if is_held else times[first]
    before = times[first - 1] if first else times[first] - frame
    following = times[after] if after < len(times) else times[after - 1] + frame
    heard = heard_in(index, Wanted(origin, want.end))
    audio_end = min(want.end, max((time_of(p) + p.duration for p in heard), default=want.start))
    return CutPlan(
        how="reencode",
        reason=Reason.FORMAT,
        seek=index.since,
        origin=origin,
        end=max(min(following, times[after - 1] + frame), audio_end),
        frames=(0.0 if is_held else times[first] - origin, *(time - origin for time in times[first + 1 : after])),
        is_held=is_held,
        are_frames_sure=True,
        first_edge=times[first] - EDGE * (times[first] - before) - origin,
        last_edge=following - EDGE * (following - times[after - 1]) - origin,
        audio_end=want.end - origin,
        has_video=True,
        has_audio=bool(heard),
    )
