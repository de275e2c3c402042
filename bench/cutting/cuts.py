"""Where to cut: ranges at keyframes and anywhere, chosen at random from a source's own packets as ffprobe tells them."""

import random
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.processes import output_of
from bench.sources import RATE, Source

FRAMES = 30 * RATE
"""Thirty seconds."""
OFF_GRID = 0.014
"""Seconds before a frame, less than half of one: under every reading of "at or after start" that frame is the first."""


@dataclass(frozen=True)
class Index:
    """All packets of a source. Times in seconds, places and sizes in bytes of the file."""

    source: Source
    is_video: NDArray[np.bool_] = field(repr=False)
    time: NDArray[np.float64] = field(repr=False)
    place: NDArray[np.int64] = field(repr=False)
    size: NDArray[np.int64] = field(repr=False)
    is_key: NDArray[np.bool_] = field(repr=False)

    @cached_property
    def shown(self) -> NDArray[np.float64]:
        """When each picture is shown, in order."""
        return np.sort(self.time[self.is_video])

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """The numbers of the pictures, counted from 0, that are keyframes."""
        return np.searchsorted(self.shown, np.sort(self.time[self.is_video & self.is_key]))


@dataclass(frozen=True, slots=True)
class Cut:
    """A range in seconds, with the first picture that belongs to it (counted in the source from 0) and how many do."""

    source: Source
    first: int
    frames: int
    start: float
    end: float
    first_time: float
    """When that picture is shown in the source, in seconds."""

    @property
    def numbers(self) -> list[int]:
        """What the pictures' barcodes have to say."""
        return [n % self.source.pictures for n in range(self.first, self.first + self.frames)]


async def index_of(source: Source) -> Index:
    entries = ["-show_entries", "packet=codec_type,pts_time,size,pos,flags", "-of", "compact=p=0:nk=1"]
    told, _ = await output_of(["ffprobe", "-v", "error", *entries, str(source.path)])
    rows = [line.split("|") for line in told.decode().splitlines() if line]
    kinds, times, sizes, places, flags = zip(*(row[:5] for row in rows), strict=True)
    return Index(
        source,
        is_video=np.array([kind == "video" for kind in kinds]),
        time=np.array(times, np.float64),
        place=np.array(places, np.int64),
        size=np.array(sizes, np.int64),
        is_key=np.array(["K" in flag for flag in flags]),
    )


def at_keyframes(index: Index, count: int, *, seed: int, frames: int = FRAMES, ends_at_keyframe: bool = True) -> list[Cut]:
    """Ranges that begin at a keyframe and, if asked for, end where another one begins."""
    keys = set(index.keys.tolist())
    fits = [key for key in sorted(keys) if key + frames < len(index.shown) and (not ends_at_keyframe or key + frames in keys)]
    return [_cut(index, first, frames, 0.0) for first in random.Random(seed).choices(fits, k=count)]


def anywhere(index: Index, count: int, *, seed: int, frames: int = FRAMES) -> list[Cut]:
    """Ranges that begin off keyframes; every other one up to 14 ms before its first frame."""
    chance, keys, made = random.Random(seed), set(index.keys.tolist()), list[Cut]()
    while len(made) < count:
        first = chance.randrange(1, len(index.shown) - frames)
        if first not in keys:
            made.append(_cut(index, first, frames, chance.uniform(0, OFF_GRID) * (len(made) % 2)))
    return made


def _cut(index: Index, first: int, frames: int, before: float) -> Cut:
    """Times are whole milliseconds, as a client's are."""
    start, end = (round(float(index.shown[n]) - before, 3) for n in (first, first + frames))
    return Cut(index.source, first, frames, start, end, float(index.shown[first]))
