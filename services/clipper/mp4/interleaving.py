"""In which order the samples of several tracks lie in a composed file. Pure.

Chunks (ISO/IEC 14496-12 3.1.2) of the main file stay in its order, so that few large moves suffice; those of the others are put among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.clipper.mp4.output import OutputTrack
from services.clipper.mp4.sample_table import IntArray, Mask

MAIN_FILE = 0
LONGEST_CHUNK = 1.0
"""Seconds."""
LONGEST_OTHER_CHUNK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunks:
    """Of one track, in decode order: chunk n begins with sample first[n], has count[n] samples and size[n] bytes."""

    first: IntArray
    count: IntArray
    size: IntArray
    description: IntArray
    is_main: Mask
    offset: IntArray
    """Of the first sample, in its file."""
    time: np.ndarray[tuple[int], np.dtype[np.float64]]
    """When the first sample is decoded, in seconds on the movie's clock."""


def chunks_of(track: OutputTrack) -> Chunks:
    samples, seconds = track.samples, _decode_seconds(track)
    is_main = samples.file == MAIN_FILE
    first = np.flatnonzero(_begins(track, is_main, seconds))
    return Chunks(
        first=first,
        count=np.diff(first, append=len(samples.size)),
        size=np.add.reduceat(samples.size, first) if len(first) else first,
        description=samples.description[first],
        is_main=is_main[first],
        offset=samples.offset[first],
        time=seconds[first],
    )


def _decode_seconds(track: OutputTrack) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shift = track.edit.delay - track.edit.media_time if track.edit else 0
    seconds: np.ndarray[tuple[int], np.dtype[np.float64]] = (
        np.cumsum(track.samples.duration) - track.samples.duration + shift
    ) / track.timescale
    return seconds


def _begins(track: OutputTrack, is_main: Mask, seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Mask:
    """Which samples begin a chunk: where the file, the sample entry or the span of time changes, and where the main file has a gap."""
    samples = track.samples
    span = np.floor(seconds / np.where(is_main, LONGEST_CHUNK, LONGEST_OTHER_CHUNK))
    begins = np.ones(len(seconds), np.bool_)
    begins[1:] = (np.diff(samples.file) != 0) | (np.diff(samples.description) != 0) | (np.diff(span) != 0)
    begins[1:] |= is_main[1:] & (samples.offset[1:] != samples.offset[:-1] + samples.size[:-1])
    return begins


def interleaved(tracks: Sequence[Chunks]) -> IntArray:
    """The order of all tracks' chunks, which are counted one track after the other.

    A chunk of another file comes before the first of the main file that is decoded later.
    """
    is_main, offset, time = (np.concatenate(column) for column in zip(*((c.is_main, c.offset, c.time) for c in tracks), strict=True))
    main = np.flatnonzero(is_main)
    main = main[np.argsort(offset[main], kind="stable")]
    place = np.empty(len(time), np.int64)
    place[main] = np.arange(len(main))
    place[~is_main] = np.searchsorted(np.maximum.accumulate(time[main]), time[~is_main], "right")
    return np.lexsort((time, is_main, place))
