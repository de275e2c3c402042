"""A window: the part of a source around a range, held here, of which every sample is known.

From S3 it comes by range requests: the index, then what the range needs, and nothing else.
"""

import asyncio
import math
import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.domain.values import Accuracy
from services.clipper.buffers import Pool
from services.clipper.frames import GRACE, Wanted, wanted
from services.clipper.mp4.edits import TO_THE_END
from services.clipper.mp4.moov_search import Search, moov_search
from services.clipper.mp4.movie import Movie, Track, read_movie
from services.clipper.mp4.sample_table import IntArray, Samples
from services.clipper.source import Source
from services.clipper.source_index import BEYOND

REORDERED = 17
"""Pictures that may be decoded before one that is shown before them: 16 at most (H.264 A.3.1), and that one."""
AUDIO_MARGIN = 0.1
"""Seconds of sound on either side of the range, of which the nearest packets are taken."""
WORTH_A_REQUEST = 256 * 1024
"""Bytes that are rather read than skipped: a request costs as much time."""
READS_AT_ONCE = 4

Held = bytes | bytearray | mmap.mmap
NOTHING = b""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """One track's samples around a range. Its clock shows the source's time less `shift` seconds."""

    track: Track
    samples: Samples
    held: Held
    """The bytes that the samples' offsets count in."""
    shift: float = 0.0
    following: int | None = None
    """Ticks: when the first picture after these is shown."""

    @property
    def entry(self) -> bytes | None:
        """The sample entry of all the samples; None when they have several, or there are none."""
        used = np.unique(self.samples.description)
        return self.track.entries[int(used[0]) - 1] if len(used) == 1 else None

    def sample(self, place: int) -> bytes:
        offset, size = int(self.samples.offset[place]), int(self.samples.size[place])
        return bytes(self.held[offset : offset + size])

    def ticks(self, seconds: float) -> int:
        """The first tick that counts as at this time of the source's clock, or after it."""
        return math.ceil((seconds - GRACE - self.shift) * self.track.timescale)

    def last_ticks(self, seconds: float) -> int:
        """The last tick that counts as at this time, or before it."""
        return math.floor((seconds + GRACE - self.shift) * self.track.timescale)

    def nearest_ticks(self, seconds: float) -> int:
        return round((seconds - self.shift) * self.track.timescale)

    def seconds(self, ticks: int) -> float:
        """Ticks as seconds on the source's clock."""
        return ticks / self.track.timescale + self.shift


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """`start_time` is what a player of the source shows as 0:00, in seconds on the source's clock."""

    picture: Stream
    sound: Stream | None
    """None when the source's packets can't be copied."""
    has_sound: bool
    start_time: float

    def wanted(self, requested: ClipsRequested) -> Wanted:
        return wanted(self.start_time, requested.start, requested.end)


async def moov_of(source: Source) -> bytes | None:
    """The index of an MP4 or MOV file in S3; None for one that is fragmented, or that is none."""
    search = moov_search(source.info.size)
    step = _begun(search)
    while isinstance(step, range):
        step = _answered(search, await source.read(step))
    return step


def local_movie(path: Path, *, is_whole: bool = True) -> Movie | None:
    """The index of a file that we had written, as `read_movie` gives it. Raises NotUnderstood."""
    search = moov_search(path.stat().st_size)
    with path.open("rb") as file:
        step = _begun(search)
        while isinstance(step, range):
            step = _answered(search, os.pread(file.fileno(), len(step), step.start))
    return None if step is None else read_movie(step, path.stat().st_size, is_whole=is_whole)


def _begun(search: Search) -> range | bytes | None:
    try:
        return next(search)
    except StopIteration as found:
        return _found(found)


def _answered(search: Search, data: bytes) -> range | bytes | None:
    """What it wants to read next, or what it found."""
    try:
        return search.send(data)
    except StopIteration as found:
        return _found(found)


def _found(found: StopIteration) -> bytes | None:
    moov: bytes | None = found.value
    return moov


def tracks_of(movie: Movie) -> tuple[Track | None, Track | None]:
    """The first video track, and the first audio track that is switched on, or else the first."""
    picture = next((track for track in movie.tracks if track.handler == "vide"), None)
    sounds = [track for track in movie.tracks if track.handler == "soun"]
    return picture, next((track for track in sounds if track.is_enabled), next(iter(sounds), None))


def unended(movie: Movie) -> Movie:
    """Of a file that we had copied: ffmpeg ends its edit list a frame too early where it takes the last for shorter than it is."""
    return replace(movie, tracks=tuple(_unended(track) if track.handler == "vide" else track for track in movie.tracks))


def _unended(track: Track) -> Track:
    return replace(track, presentation=track.presentation and replace(track.presentation, end=TO_THE_END))


def start_of(movie: Movie) -> float:
    """What a player shows as 0:00, in seconds. Never negative: what lies before zero only primes an audio decoder."""
    starts = [track.begins / track.timescale for track in tracks_of(movie) if track and track.begins is not None]
    return max(min(starts, default=0.0), 0.0)


def around(track: Track, want: Wanted, shift: float) -> Track:
    """The track with its samples around a range of the source; the movie's clock shows the source's time less `shift`."""
    return track.within(want.start - AUDIO_MARGIN - shift, want.end + BEYOND - shift)


def end_of(track: Track) -> float:
    """When the last of its samples is over, in seconds."""
    samples = track.samples
    return int((samples.present + samples.duration)[~samples.is_hidden].max(initial=0)) / track.timescale


def picture_stream(track: Track, held: Held, want: Wanted, accuracy: Accuracy, *, shift: float = 0.0) -> Stream:
    """The samples that the frames of the range need: from a keyframe at or before the first of them, or for `fast` before the start."""
    samples = track.samples
    clock = Stream(track=track, samples=samples.pick(slice(0, 0)), held=held, shift=shift)
    start, end = clock.ticks(want.start), clock.ticks(want.end)
    asked = np.flatnonzero(~samples.is_hidden & (samples.present >= start) & (samples.present < end))
    if not len(asked):
        return clock
    latest = int(samples.present[asked].min()) if accuracy == "exact" else clock.last_ticks(want.start)
    first = int(asked.min()) + 1
    keys = np.flatnonzero(samples.is_sync[:first] & (samples.present[:first] <= latest))
    part = slice(int(keys[-1]) if len(keys) else 0, int(asked.max()) + 1 + REORDERED)
    later = samples.present[part.stop :][~samples.is_hidden[part.stop :]]
    return replace(clock, samples=samples.pick(part), following=int(later.min()) if len(later) else None)


def sound_stream(track: Track, held: Held, want: Wanted, *, shift: float = 0.0) -> Stream:
    """The packets of the range and a few more."""
    samples = track.samples
    clock = Stream(track=track, samples=samples, held=held, shift=shift)
    margin = int(AUDIO_MARGIN * track.timescale)
    near = samples.present + samples.duration > clock.ticks(want.start) - margin
    near &= samples.present < clock.ticks(want.end) + margin
    return replace(clock, samples=samples.pick(near))


class FileMap(mmap.mmap):
    """A file's bytes. What was read of them counts as this process's memory, until it is let go."""

    def let_go(self) -> None:
        """It is read from the file again where it is needed again."""
        self.madvise(mmap.MADV_DONTNEED)


def mapped(path: Path) -> Held:
    """A file that we had written, as bytes that are read when they are used."""
    with path.open("rb") as file:
        return FileMap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else NOTHING


async def read_window(source: Source, streams: Sequence[Stream], buffers: Pool[mmap.mmap], spill: Path) -> tuple[Stream, ...]:
    """The streams with their bytes, from S3: in memory while the source is open, or, where there is no room, in the file `spill`."""
    ranges = _ranges([stream.samples for stream in streams])
    places = np.cumsum([0, *(len(part) for part in ranges)])
    buffer = source.keep(buffers.lent(int(places[-1])))
    if buffer is None:
        with spill.open("wb") as file:
            await _read_all(source, ranges, places, lambda chunk, to: _written(file.fileno(), chunk, to))
    else:
        await _read_all(source, ranges, places, lambda chunk, to: buffer.__setitem__(slice(to, to + len(chunk)), chunk))
    held = mapped(spill) if buffer is None else buffer
    begins = np.array([part.start for part in ranges], dtype=np.int64)
    return tuple(replace(stream, held=held, samples=_moved(stream.samples, begins, places[:-1])) for stream in streams)


def _written(file: int, chunk: bytes, to: int) -> None:
    while chunk:
        written = os.pwrite(file, chunk, to)
        chunk, to = chunk[written:], to + written


async def _read_all(source: Source, ranges: Sequence[range], places: IntArray, put: Callable[[bytes, int], None]) -> None:
    slots = asyncio.Semaphore(READS_AT_ONCE)

    async def read(part: range, to: int) -> None:
        end = to + len(part)
        async with slots:
            async for chunk in source.stream(part):
                put(chunk, to)
                to += len(chunk)
        if to != end:
            raise Failure(Code.RETRYABLE_ERROR, "the source ended while it was read")

    try:
        async with asyncio.TaskGroup() as reading:
            for part, to in zip(ranges, places[:-1], strict=True):
                reading.create_task(read(part, int(to)))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _ranges(all_samples: Sequence[Samples]) -> list[range]:
    """The byte ranges that hold the samples, with small gaps between them."""
    begins = np.concatenate([samples.offset for samples in all_samples])
    order = np.argsort(begins, kind="stable")
    begins = begins[order]
    ends = np.maximum.accumulate(begins + np.concatenate([samples.size for samples in all_samples])[order])
    breaks = np.flatnonzero(begins[1:] - ends[:-1] > WORTH_A_REQUEST) + 1
    firsts, lasts = [0, *breaks], [*(breaks - 1), len(begins) - 1]
    return [range(int(begins[a]), int(ends[b])) for a, b in zip(firsts, lasts, strict=True)] if len(begins) else []


def _moved(samples: Samples, begins: IntArray, places: IntArray) -> Samples:
    at = np.searchsorted(begins, samples.offset, side="right") - 1
    return replace(samples, offset=samples.offset - begins[at] + places[at]) if len(samples) else samples
