"""A track's samples (ISO/IEC 14496-12 8.6, 8.7): kept as the file's own compact tables, and expanded only where they are needed. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from services.clipper.mp4.boxes import NotUnderstood

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_EXPANDED = 2_000_000
"""Samples expanded at once, at about 60 bytes each: more than two hours of picture at 240 frames a second."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Samples in decode order, one element of each array a sample. Times are ticks of the track's timescale on the movie's clock."""

    offset: IntArray
    """In bytes, in the file."""
    size: IntArray
    decode: IntArray
    """May be negative: an edit list shifts it too."""
    present: IntArray
    duration: IntArray
    """What the decode time grows by (8.6.1.2)."""
    is_sync: Mask
    """Listed as a sync sample (8.6.2); whether decoding can begin there is for the bitstream to say."""
    description: IntArray
    """Which sample entry, from 1."""
    is_hidden: Mask
    """The edit list does not show it."""

    def __len__(self) -> int:
        return len(self.offset)

    def pick(self, which: slice | IntArray | Mask) -> "Samples":
        """Those of a slice, of an array of positions, or of a mask."""
        return Samples(
            offset=self.offset[which],
            size=self.size[which],
            decode=self.decode[which],
            present=self.present[which],
            duration=self.duration[which],
            is_sync=self.is_sync[which],
            description=self.description[which],
            is_hidden=self.is_hidden[which],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of samples that have something in common: run n holds the samples first[n] up to first[n + 1]; first[-1] counts them all."""

    first: IntArray

    @classmethod
    def of(cls, lengths: IntArray) -> "Runs":
        return cls(np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))))

    @property
    def count(self) -> int:
        return int(self.first[-1])

    def of_samples(self, start: int, stop: int) -> IntArray:
        """Which run each sample from `start` up to `stop` is in."""
        if start >= stop:
            return np.zeros(0, np.int64)
        low = int(np.searchsorted(self.first, start, "right")) - 1
        high = int(np.searchsorted(self.first, stop, "left"))
        return np.repeat(np.arange(low, high), np.diff(self.first[low : high + 1].clip(start, stop)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """Decode times (stts): the samples of run n are delta[n] ticks apart, from start[n] on."""

    runs: Runs
    delta: IntArray
    start: IntArray

    def decode(self, run: IntArray, sample: IntArray) -> IntArray:
        return self.start[run] + (sample - self.runs.first[run]) * self.delta[run]

    def before(self, time: int) -> int:
        """How many samples are decoded before a time, in ticks of the media."""
        run = int(np.searchsorted(self.start, time, "left")) - 1
        if run < 0:
            return 0
        first, after, delta = int(self.runs.first[run]), int(self.runs.first[run + 1]), int(self.delta[run])
        return after if delta == 0 else min(after, first - (int(self.start[run]) - time) // delta)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompositionOffsets:
    """What is added to a decode time for the time of presentation (ctts): offset[n] for the samples of run n."""

    runs: Runs
    offset: IntArray

    @property
    def least(self) -> int:
        return int(self.offset.min(initial=0))

    @property
    def most(self) -> int:
        return int(self.offset.max(initial=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkTable:
    """Where the bytes are (stsc, stco): run n begins with chunk first[n], and its chunks hold `samples`[n] samples each."""

    runs: Runs
    first: IntArray
    samples: IntArray
    description: IntArray
    offset: npt.NDArray[Any]
    """Of every chunk, as it stands in the file: 32 or 64 bits, big-endian."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sizes:
    """In bytes (stsz): one for all samples, or `each`, as it stands in the file."""

    every: int
    each: npt.NDArray[Any] | None

    def of(self, start: int, stop: int) -> IntArray:
        return np.full(stop - start, self.every) if self.each is None else self.each[start:stop].astype(np.int64)

    def within(self, start: IntArray, sample: IntArray) -> IntArray:
        """How many bytes lie from each sample `start` up to `sample`; both rise."""
        if self.each is None or not len(sample):
            return (sample - start) * self.every
        base = int(start[0])
        bounded(int(sample[-1]) - base)
        sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.of(base, int(sample[-1])))))
        return sums[sample - base] - sums[start - base]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Media:
    """A track's samples on the media's own clock, which begins at 0; no edit list is applied."""

    count: int
    timing: Timing
    composition: CompositionOffsets
    chunks: ChunkTable
    sizes: Sizes
    sync: IntArray | None
    """Positions of the sync samples, rising; None: all are."""
    file_size: int

    def expanded(self, start: int, stop: int) -> Samples:
        """Samples from position `start` up to `stop`, none hidden. Raises NotUnderstood where one is not in the file, or for too many."""
        bounded(stop - start)
        sample = np.arange(start, stop)
        time = self.timing.runs.of_samples(start, stop)
        decode = self.timing.decode(time, sample)
        size, (offset, description) = self.sizes.of(start, stop), self._placed(start, stop, sample)
        if len(sample) and (int(offset.min()) < 0 or int((offset + size).max()) > self.file_size):
            raise NotUnderstood("samples outside the file")
        if int(size.sum()) > self.file_size:
            raise NotUnderstood("samples that lie on one another")
        return Samples(
            offset=offset,
            size=size,
            decode=decode,
            present=decode + self.composition.offset[self.composition.runs.of_samples(start, stop)],
            duration=self.timing.delta[time],
            is_sync=self._sync(start, stop),
            description=description,
            is_hidden=np.zeros(len(sample), np.bool_),
        )

    def _placed(self, start: int, stop: int, sample: IntArray) -> tuple[IntArray, IntArray]:
        """Offset and description of each sample: its chunk's, and the sizes of the samples before it in the chunk."""
        chunks = self.chunks
        run = chunks.runs.of_samples(start, stop)
        nth = (sample - chunks.runs.first[run]) // chunks.samples[run]
        beginning = chunks.runs.first[run] + nth * chunks.samples[run]
        base = chunks.offset[chunks.first[run] + nth].astype(np.int64)
        return base + self.sizes.within(beginning, sample), chunks.description[run]

    def _sync(self, start: int, stop: int) -> Mask:
        if self.sync is None:
            return np.ones(stop - start, np.bool_)
        marks = np.zeros(stop - start, np.bool_)
        marks[self.sync[np.searchsorted(self.sync, start) : np.searchsorted(self.sync, stop)] - start] = True
        return marks

    def around(self, start: int, end: int) -> tuple[int, int]:
        """The fewest positions sure to hold all that is presented in [start, end), from a sync sample presented at or before `start`."""
        low = self.timing.before(start - self.composition.most + 1) - 1
        begin = self._sync_at(max(low, 0))
        return begin, max(begin, self.timing.before(end - self.composition.least))

    def first_presented(self, time: int) -> int:
        """The earliest presentation at or after a time. Raises NotUnderstood where there is none."""
        least, most = self.composition.least, self.composition.most
        sure = self.timing.before(time - least)
        until = int(self.expanded(sure, sure + 1).decode[0]) + most - least + 1 if sure < self.count else None
        present = self.expanded(self.timing.before(time - most), self.count if until is None else self.timing.before(until)).present
        if not np.any(present >= time):
            raise NotUnderstood("an edit list that shows nothing")
        return int(present[present >= time].min())

    def _sync_at(self, position: int) -> int:
        """The last sync sample at or before a position; the first sample if there is none."""
        if self.sync is None:
            return position
        nth = int(np.searchsorted(self.sync, position, "right")) - 1
        return int(self.sync[nth]) if nth >= 0 else 0


def bounded(count: int) -> None:
    if count > MOST_EXPANDED:
        raise NotUnderstood(f"{count} samples at once")
