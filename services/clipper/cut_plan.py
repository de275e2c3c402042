"""The decision how to cut: from the packets around a range to a value that says what is copied or encoded, and why. Pure.

All times are seconds on the source's own clock unless they are said to be on the clip's, which begins at `CutPlan.origin`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from libs.common.domain.events import Accuracy
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.media import Media, Packet
from services.clipper.frames import (
    GRACE,
    PacketIndex,
    Wanted,
    are_frames_sure_in,
    ends_surely,
    frame_seconds,
    frame_times,
    heard_in,
    last_moment,
    time_of,
)

EDGE = 0.25
"""Of a frame: nearer to the frame than half, so that a clock that counts frames (AVI's) rounds an edge to that frame."""
HELD_FRAMES = 1.5
"""A first frame later than this many frames after `start` is shown from `start` on; a nearer one is where the clip begins."""
SHORTFALL = 0.5
"""How far a range may reach beyond the last packet: container durations are rough."""
COPYABLE_VIDEO = {
    "h264": frozenset({"yuv420p", "yuvj420p"}),
    "hevc": frozenset({"yuv420p", "yuvj420p", "yuv420p10le"}),
}
"""What MP4 players play as it is, by pixel format."""
COPYABLE_AUDIO = frozenset({"aac", "mp3"})
LONGEST_AUDIO_PACKET = 0.04
"""Seconds: audio begins at the packet nearest to the first frame, so half of one is the most that it can be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPlan:
    """How one clip is made. A smart cut (issue 3) is to be a third `how`, with the frame at which copying begins."""

    how: Literal["copy", "reencode"]
    reason: str
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
    copies_audio: bool
    last_decode: float = 0.0
    """On the clip's clock: decode time of the last copied packet."""

    @property
    def duration(self) -> float:
        return self.end - self.origin


def wanted(media: Media, start: float, end: float) -> Wanted:
    """A client's range on the source's own clock."""
    return Wanted(media.start_time + start, media.start_time + end)


def covers(index: PacketIndex, media: Media, want: Wanted) -> bool:
    """Whether the index holds the keyframe that the range's first frame needs; else reading must begin earlier."""
    if media.video is None or index.since is None:
        return True
    first_key = next((p.time for p in index.video if p.is_key and p.time is not None), None)
    return first_key is not None and first_key <= want.start + GRACE


def cut_plan(media: Media, index: PacketIndex, want: Wanted, accuracy: Accuracy, *, may_copy: bool = True) -> CutPlan:
    """Copy where that is provably right, else re-encode. Raises Failure where there is nothing to cut."""
    if index.is_whole and want.end > last_moment(index) + SHORTFALL:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the range reaches beyond the end of the source")
    if media.video is None:
        return _audio_plan(media, index, want, accuracy, may_copy=may_copy)
    if index.since is None and not any(p.is_key for p in index.video):
        raise Failure(Code.SOURCE_UNREADABLE, "the source's picture can't be decoded")
    whole = _reencode(media, index, want)
    if not may_copy:
        return replace(whole, reason="a copy could not be verified")
    return _copy(media, index, want, accuracy) or replace(whole, reason=_why_not(media, index, want))


def _audio_plan(media: Media, index: PacketIndex, want: Wanted, accuracy: Accuracy, *, may_copy: bool) -> CutPlan:
    heard = heard_in(index, want)
    if not heard:
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the source has nothing to hear in this range")
    copies = may_copy and accuracy == "fast" and _is_audio_copyable(media, index)
    return CutPlan(
        how="copy" if copies else "reencode",
        reason="fast: whole audio packets" if copies else "audio is cut to the sample",
        seek=index.since,
        origin=_nearest(heard, want.start) if copies else want.start,
        end=min(want.end, max(time_of(p) + p.duration for p in heard)),
        frames=(),
        is_held=False,
        are_frames_sure=False,
        first_edge=0.0,
        last_edge=0.0,
        audio_end=want.end - want.start,
        has_video=False,
        has_audio=True,
        copies_audio=copies,
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
        reason="",
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
        copies_audio=False,
    )


def _copy(media: Media, index: PacketIndex, want: Wanted, accuracy: Accuracy) -> CutPlan | None:
    """The clip as a run of the source's own packets, or None where no run is right."""
    key = _key_position(index, want, accuracy)
    if key is None or not _is_video_copyable(media) or not are_frames_sure_in(media, index, time_of(index.video[key]), want.end):
        return None
    run = _run(index.video, key, want.end - GRACE)
    if run is None or (accuracy == "exact" and not _is_exact(index, run, want)):
        return None
    return _copied(media, index, want, run, accuracy)


def _key_position(index: PacketIndex, want: Wanted, accuracy: Accuracy) -> int | None:
    """Where in the index the copy begins. fast: the last keyframe at or before the start; exact: the first frame, if that is a keyframe."""
    keys = [n for n, p in enumerate(index.video) if p.is_key and not p.is_hidden and p.time is not None]
    if accuracy == "fast":
        return max((n for n in keys if time_of(index.video[n]) <= want.start + GRACE), default=None)
    first = min((time_of(p) for p in index.video if not p.is_hidden and time_of(p) >= want.start - GRACE), default=None)
    return next((n for n in keys if time_of(index.video[n]) == first), None)


def _run(packets: Sequence[Packet], key: int, end: float) -> list[Packet] | None:
    """The fewest packets from `key` on that hold every frame before `end` and, with each frame, all that are shown before it.

    A frame of an open GOP that is shown before its keyframe is no part of it. None when the index ends too early to tell.
    """
    begin = time_of(packets[key])
    while True:
        inside = [n for n in range(key, len(packets)) if begin <= time_of(packets[n]) < end]
        latest = max(time_of(p) for p in packets[key : inside[-1] + 1])
        if latest < end:
            return [packets[n] for n in inside]
        end = latest + GRACE


def _is_exact(index: PacketIndex, run: Sequence[Packet], want: Wanted) -> bool:
    """The run is all that is shown in the range, nothing else, and nothing that depends on what is left out before it."""
    asked = [p for p in index.video if not p.is_hidden and want.start - GRACE <= time_of(p) < want.end - GRACE]
    position = index.video.index(run[0])
    return list(run) == asked == list(index.video[position : position + len(run)])


def _is_video_copyable(media: Media) -> bool:
    if media.video is None or media.video_stream is None:
        return False
    stream = media.video_stream
    has_mp4_time_base = stream.time_base.numerator == 1
    return stream.pixel_format in COPYABLE_VIDEO.get(media.video.codec, frozenset()) and has_mp4_time_base


def _copied(media: Media, index: PacketIndex, want: Wanted, run: Sequence[Packet], accuracy: Accuracy) -> CutPlan | None:
    times = frame_times(index)
    start, last = time_of(run[0]), max(time_of(p) for p in run)
    first, after = bisect_left(times, start), bisect_left(times, last) + 1
    is_late = accuracy == "exact" and start - want.start > HELD_FRAMES * frame_seconds(media, times)
    if is_late or after - first != len(run) or not ends_surely(index, last):
        return None
    plan = _between(media, index, Wanted(start, max(want.end, last)), times, first, after, is_held=False)
    return replace(
        plan,
        how="copy",
        reason="fast: from the keyframe at or before the start" if accuracy == "fast" else "the range is a run of whole packets",
        copies_audio=plan.has_audio and _is_audio_copyable(media, index),
        last_decode=max(p.decode_time if p.decode_time is not None else time_of(p) for p in run) - start,
    )


def _why_not(media: Media, index: PacketIndex, want: Wanted) -> str:
    if not _is_video_copyable(media):
        return "MP4 players don't play the source's video"
    if _key_position(index, want, "exact") is None:
        return "the first frame is no keyframe"
    return "no run of packets is exactly the range"
