"""The decision which coded pictures of a window are copied and which frames are encoded anew, and why. Pure.

Pictures are counted by their place in decode order; times are ticks of the track's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Accuracy
from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.mp4.sample_table import IntArray, Mask

HELD_FRAMES = 1.5
"""A first frame later than this many frames after the start is shown from the start on; a nearer one is where the clip begins."""
FEWEST_COPIED = 12
"""Pictures. Fewer are not worth a seam."""


class Reason(StrEnum):
    """Why a clip was cut the way it was."""

    FAST = "fast"
    ON_KEYFRAME = "on_keyframe"
    OFF_KEYFRAME = "off_keyframe"
    END_ACROSS_FRAMES = "end_across_frames"
    NO_KEYFRAME_INSIDE = "no_keyframe_inside"
    INTERLACED = "interlaced"
    FORMAT = "format"
    UNSURE_FRAMES = "unsure_frames"
    AUDIO_ONLY = "audio_only"
    UNVERIFIED = "unverified"
    JOINED = "joined"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """The coded pictures around a range in decode order: all that are shown in it, and what a decoder needs for them.

    `access` holds every keyframe's place. `following` is when the first frame after these is shown; None: there is none.
    """

    present: IntArray
    is_hidden: Mask
    access: Mapping[int, RandomAccess]
    frame: int
    """The usual distance between two frames."""
    following: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames to encode anew: what a decoder needs for them, in decode order, and when those that are kept are shown, rising."""

    needed: range
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplicePlan:
    """The clip is head, copied, tail. A re-encode is all head, a copy has neither head nor tail."""

    reason: Reason
    head: Stretch | None
    copied: tuple[int, ...]
    """Places of the pictures that are taken as they are, in decode order."""
    tail: Stretch | None
    frames: tuple[int, ...]
    """When each frame of the clip is shown, rising, on the source's clock; the first, if it is held, at `origin`."""
    origin: int
    """The clip's zero."""
    end: int
    """Where the clip ends: the last frame has been shown for its time."""

    @property
    def how(self) -> Literal["copy", "smart", "reencode"]:
        if not self.copied:
            return "reencode"
        return "smart" if self.head or self.tail else "copy"


def splice_plan(pictures: Pictures, start: int, end: int, accuracy: Accuracy, *, latest: int | None = None) -> SplicePlan | None:
    """The clip of [start, end) ticks; None where packets don't tell the frames. Raises Failure(RANGE_OUTSIDE_SOURCE) without any.

    `latest`: the last tick that counts as at the start; the keyframe of a `fast` clip is at or before it.
    """
    key = _keyframe_before(pictures, start if latest is None else latest) if accuracy == "fast" else None
    start = start if key is None else key
    later = np.sort(pictures.present[~pictures.is_hidden & (pictures.present >= start)])
    shown = later[later < end]
    if not len(shown):
        raise Failure(Code.RANGE_OUTSIDE_SOURCE, "the source has no picture in this range")
    if not _are_distinct(shown if key is None else later) or _keyframe_for(pictures, shown) is None:
        return None
    run = _run(pictures, int(shown[0]), end)
    if run is None:
        return _whole(pictures, shown, start, end)
    return _spliced(pictures, run, shown, start, end) if key is None else _fast(pictures, run, end)


def _keyframe_before(pictures: Pictures, start: int) -> int | None:
    """fast: when the last keyframe at or before the start is shown at which decoding can begin; without one, exact."""
    keys = (place for place, access in pictures.access.items() if access is not RandomAccess.NONE and not pictures.is_hidden[place])
    return max((int(pictures.present[place]) for place in keys if pictures.present[place] <= start), default=None)


def _are_distinct(times: IntArray) -> bool:
    return len(np.unique(times)) == len(times)


def _keyframe_for(pictures: Pictures, frames: IntArray) -> int | None:
    """The last that is decoded before the first of the frames, and shown before it too."""
    first = _places(pictures, frames).min()
    return max((place for place in pictures.access if place <= first and pictures.present[place] <= frames[0]), default=None)


def _places(pictures: Pictures, frames: IntArray) -> IntArray:
    return np.flatnonzero(np.isin(pictures.present, frames) & ~pictures.is_hidden)


def _run(pictures: Pictures, first: int, end: int) -> tuple[int, ...] | None:
    """The longest run of pictures from the first keyframe on that is shown without a gap before `end` and needs nothing else.

    Pictures shown before their keyframe are no part of it: they may need what came before, and nothing that is shown later needs them.
    """
    begin = _first_keyframe(pictures, first, end)
    if begin is None or (pictures.present[:begin] > pictures.present[begin]).any():
        return None
    places = _shown_from(pictures, begin)
    closed = _closed(pictures, places, end)
    return tuple(int(place) for place in places[: closed[-1] + 1]) if len(closed) else None


def _first_keyframe(pictures: Pictures, first: int, end: int) -> int | None:
    present = pictures.present
    inside = [
        place
        for place, access in pictures.access.items()
        if access is not RandomAccess.NONE and not pictures.is_hidden[place] and first <= present[place] < end
    ]
    return min(inside, key=lambda place: int(present[place]), default=None)


def _shown_from(pictures: Pictures, begin: int) -> IntArray:
    later = np.arange(begin, len(pictures.present))
    is_later: Mask = pictures.present[later] >= pictures.present[begin]
    return later[is_later]


def _closed(pictures: Pictures, places: IntArray, end: int) -> IntArray:
    """After how many of these places nothing is missing: all is shown, before `end`, and what follows is shown later."""
    present = pictures.present[places]
    latest = np.maximum.accumulate(present)
    next_shown = np.append(np.minimum.accumulate(present[::-1])[::-1][1:], np.iinfo(np.int64).max)
    all_shown = ~np.logical_or.accumulate(pictures.is_hidden[places])
    return np.flatnonzero(all_shown & (latest < end) & (next_shown > latest))


def _fast(pictures: Pictures, run: tuple[int, ...], end: int) -> SplicePlan:
    """From the keyframe on to the first place at or after `end` where nothing is missing: no encoder at all."""
    places = _shown_from(pictures, run[0])
    present = pictures.present[places]
    last_asked = present[~pictures.is_hidden[places] & (present < end)].max()
    reached = np.maximum.accumulate(present)
    closed = _closed(pictures, places, np.iinfo(np.int64).max)
    last = next((place for place in closed if reached[place] >= last_asked), len(run) - 1)
    copied = tuple(int(place) for place in places[: last + 1])
    frames = np.sort(pictures.present[list(copied)])
    return _plan(pictures, frames, int(frames[0]), end, Reason.FAST, copied=copied)


def _spliced(pictures: Pictures, run: tuple[int, ...], shown: IntArray, start: int, end: int) -> SplicePlan:
    first, last = int(pictures.present[run[0]]), int(pictures.present[list(run)].max())
    before, after = shown[shown < first], shown[shown > last]
    if not len(before) and not len(after):
        return _plan(pictures, shown, start, end, Reason.ON_KEYFRAME, copied=run)
    if len(run) < FEWEST_COPIED:
        return _whole(pictures, shown, start, end)
    return _plan(
        pictures,
        shown,
        start,
        end,
        Reason.OFF_KEYFRAME if len(before) else Reason.END_ACROSS_FRAMES,
        copied=run,
        head=_stretch(pictures, before),
        tail=_stretch(pictures, after),
    )


def _whole(pictures: Pictures, shown: IntArray, start: int, end: int) -> SplicePlan:
    """All of it anew."""
    whole = _stretch(pictures, shown)
    return _plan(pictures, shown, start, end, Reason.NO_KEYFRAME_INSIDE, head=whole)


def _stretch(pictures: Pictures, frames: IntArray) -> Stretch | None:
    """From the keyframe at which their decoding begins up to the last of them. The caller knows that there is one."""
    begin = _keyframe_for(pictures, frames) if len(frames) else None
    if begin is None:
        return None
    return Stretch(range(begin, int(_places(pictures, frames).max()) + 1), tuple(int(frame) for frame in frames))


def _plan(
    pictures: Pictures,
    shown: IntArray,
    start: int,
    end: int,
    reason: Reason,
    *,
    copied: tuple[int, ...] = (),
    head: Stretch | None = None,
    tail: Stretch | None = None,
) -> SplicePlan:
    first, last = int(shown[0]), int(shown[-1])
    origin = start if first - start > HELD_FRAMES * pictures.frame else first
    return SplicePlan(
        reason=reason,
        head=head,
        copied=copied,
        tail=tail,
        frames=(origin, *(int(frame) for frame in shown[1:])),
        origin=origin,
        end=_end(pictures, last, end),
    )


def _end(pictures: Pictures, last: int, end: int) -> int:
    """When the next frame would come; in a standstill, and at the source's end, the last one is held for a frame's time or to `end`."""
    later = [*pictures.present[~pictures.is_hidden], *([] if pictures.following is None else [pictures.following])]
    following = min((int(time) for time in later if time > last), default=None)
    return last + pictures.frame if following is None else min(max(last + pictures.frame, end), following)
