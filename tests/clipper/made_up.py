"""Made-up streams of coded pictures, each with the pictures that it refers to: what is true of them is known without a decoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Literal

import numpy as np
from hypothesis import strategies as st

from services.clipper.bitstream.random_access import RandomAccess
from services.clipper.frames import Wanted
from services.clipper.mp4.sample_table import Samples
from services.clipper.splice_plan import Pictures, SplicePlan, splice_plan
from services.clipper.window import picture_stream
from services.clipper.windows import pictures_of

MISSING = -1
"""A picture from before the stream."""
ACCESS = tuple(RandomAccess)
Kind = Literal["closed", "decodable leading", "open", "h264 open"]


@dataclass(frozen=True, slots=True)
class Group:
    """A GOP: `length` pictures from the keyframe on and `leading` ones before it, which are decoded after it."""

    length: int
    bframes: int = 0
    is_pyramid: bool = False
    kind: Kind = "closed"
    leading: int = 0

    @property
    def access(self) -> RandomAccess:
        return {"open": RandomAccess.OPEN, "h264 open": RandomAccess.NONE}.get(self.kind, RandomAccess.CLEAN)


@dataclass(frozen=True, slots=True)
class Coded:
    """`shown`: its place in the order in which pictures are shown. `needs`: the places in decode order that it refers to."""

    shown: int
    needs: frozenset[int]
    access: RandomAccess | None = None


def coded(groups: Sequence[Group]) -> list[Coded]:
    """In decode order. Pictures refer to whatever their standard lets them: those of one group to all that were decoded before them."""
    pictures: list[Coded] = []
    previous, number = frozenset({MISSING}), 0
    for group in groups:
        key = len(pictures)
        leading = 0 if group.kind == "closed" else group.leading
        pictures.append(Coded(number + leading, frozenset(), group.access))
        for shown in _middle_first(range(number, number + leading), is_pyramid=group.is_pyramid):
            foreign = frozenset() if group.kind == "decodable leading" else previous
            pictures.append(Coded(shown, foreign | set(range(key, len(pictures)))))
        trailing = [key]
        for shown in _decoded(group, number + leading + 1):
            pictures.append(Coded(shown, frozenset(trailing)))
            trailing.append(len(pictures) - 1)
        previous, number = frozenset(trailing), number + leading + group.length
    return pictures


def _decoded(group: Group, first: int) -> Iterator[int]:
    """Anchors before the B-frames that are shown before them."""
    after = first + group.length - 1
    for at in range(first, after, group.bframes + 1):
        anchor = min(at + group.bframes, after - 1)
        yield anchor
        yield from _middle_first(range(at, anchor), is_pyramid=group.is_pyramid)


def _middle_first(shown: range, *, is_pyramid: bool) -> list[int]:
    middle = shown[len(shown) // 2 : len(shown) // 2 + 1] if is_pyramid else []
    return [*middle, *(number for number in shown if number not in middle)]


@dataclass(frozen=True)
class Stream:
    """Times are ticks, a thousand a second. Of the pictures in the order in which they are shown, `visible` are."""

    pictures: Sequence[Coded]
    times: Sequence[int]
    visible: range

    @cached_property
    def samples(self) -> Samples:
        """Each a byte long at its place in decode order: what kind of keyframe it is."""
        shown = np.array([picture.shown for picture in self.pictures])
        places = np.arange(len(shown))
        return Samples(
            offset=places,
            size=np.ones_like(places),
            decode=places,
            present=np.array(self.times)[shown],
            duration=np.full_like(places, self.times[1] - self.times[0] if len(self.times) > 1 else 40),
            is_sync=np.array([picture.access is not None for picture in self.pictures]),
            description=np.ones_like(places),
            is_hidden=(shown < self.visible.start) | (shown >= self.visible.stop),
        )

    @cached_property
    def seen(self) -> list[int]:
        return [self.times[number] for number in self.visible]

    def time(self, place: int) -> int:
        return self.times[self.pictures[place].shown]

    def is_seen(self, place: int) -> bool:
        return self.pictures[place].shown in self.visible

    def needed(self, places: set[int]) -> set[int]:
        """With all that they refer to, and what those refer to."""
        known: set[int] = set()
        while places - known:
            known |= places
            places = {need for place in places if place != MISSING for need in self.pictures[place].needs}
        return known


class OneByte:
    """A coding whose samples are the bytes of `Stream.samples`."""

    def access(self, sample: bytes) -> RandomAccess:
        return ACCESS[sample[0]]


@dataclass(frozen=True)
class Case:
    """A range of a stream, and what the planner makes of the window around it."""

    stream: Stream
    start: int
    end: int
    accuracy: Literal["exact", "fast"]

    @cached_property
    def window(self) -> tuple[Pictures, range]:
        """The pictures that the planner is told of, and their places in the stream."""
        held = bytes(ACCESS.index(picture.access or RandomAccess.NONE) for picture in self.stream.pictures)
        want = Wanted(self.start / 1000, self.end / 1000)
        picture = picture_stream(SimpleNamespace(timescale=1000, samples=self.stream.samples), held, want, self.accuracy)
        places = picture.samples.offset
        return pictures_of(picture, OneByte(), want), range(int(places[0]), int(places[-1]) + 1) if len(places) else range(0)

    @cached_property
    def plan(self) -> SplicePlan | None:
        return splice_plan(self.window[0], self.start, self.end, self.accuracy)

    @property
    def copied(self) -> list[int]:
        """Places in the stream."""
        return [self.window[1][place] for place in self.plan.copied] if self.plan else []

    @cached_property
    def asked(self) -> list[int]:
        return [time for time in self.stream.seen if self.start <= time < self.end]


groups = st.builds(
    Group,
    length=st.integers(1, 60),
    bframes=st.integers(0, 4),
    is_pyramid=st.booleans(),
    kind=st.sampled_from(["closed", "closed", "decodable leading", "open", "open", "h264 open"]),
    leading=st.integers(0, 4),
)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    pictures = coded(draw(st.lists(groups, min_size=1, max_size=5)))
    usual = draw(st.sampled_from([2, 20, 33, 40, 1001]))
    distances = np.full(len(pictures), usual)
    for place, factor in draw(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.5, 1.5, 2, 3, 100])), max_size=6)):
        distances[place % len(pictures)] = usual * factor
    times = draw(st.sampled_from([0, 67, 5_000_000])) + np.cumsum(distances)
    first, last = draw(st.just((0, 0)) | st.tuples(st.integers(0, 20), st.integers(0, 20)))
    shown = range(min(first, len(pictures) - 1), len(pictures))
    return Stream(pictures, times.tolist(), shown[: max(len(shown) - last, 1)])


@st.composite
def cases(draw: st.DrawFn, accuracy: Literal["exact", "fast"] | None = None) -> Case:
    """Ranges in which there is a picture, on and off the frames' times."""
    stream = draw(streams())
    first, last = sorted((draw(st.sampled_from(stream.seen)), draw(st.sampled_from(stream.seen))))
    before, after = draw(st.just((0, 1)) | st.tuples(st.integers(0, 50), st.integers(1, 50)))
    return Case(stream, first - before, last + after, accuracy or draw(st.sampled_from(["exact", "fast"])))
