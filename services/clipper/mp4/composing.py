"""Composes an MP4 of samples that lie in several files: its index first, then exactly their bytes (ISO/IEC 14496-12). Pure."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.clipper.mp4.boxes import HEADER, LARGE_HEADER, box
from services.clipper.mp4.edits import LARGEST_32, Edit
from services.clipper.mp4.interleaving import chunks_of, interleaved
from services.clipper.mp4.movie_writing import moov_box
from services.clipper.mp4.output import OutputSamples, OutputTrack
from services.clipper.mp4.sample_entry import fourcc
from services.clipper.mp4.sample_table import IntArray

__all__ = ["Composition", "Edit", "Move", "OutputSamples", "OutputTrack", "compose", "timeline"]

MINOR_VERSION = 512
AVC_ENTRIES = (b"avc1", b"avc3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`length` bytes of input `file` from `offset` on belong at position `to` of the output."""

    file: int
    offset: int
    length: int
    to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """`header` begins the output of `size` bytes; the moves follow it one after the other, without a gap."""

    header: bytes
    moves: tuple[Move, ...]
    size: int


def timeline(present: IntArray, end: int) -> tuple[IntArray, IntArray]:
    """Durations and composition offsets of samples in decode order, so that no edit list is needed: they are decoded at the times at which
    samples are presented, from zero on. The one presented last lasts up to `end`. All in ticks, on the clock of `present`.
    """
    decode = np.sort(present)
    return np.diff(decode, append=end), present - decode


def compose(tracks: Sequence[OutputTrack], *, movie_timescale: int) -> Composition:
    """Raises NotUnderstood for times or sizes that MP4 has no room for."""
    chunks = [chunks_of(track) for track in tracks]
    order = interleaved(chunks)
    sizes = np.concatenate([part.size for part in chunks])
    places = np.empty_like(sizes)
    places[order] = np.cumsum(sizes[order]) - sizes[order]
    mdat = _mdat_header(int(sizes.sum()))
    cuts = np.cumsum([len(part.first) for part in chunks])[:-1]
    header = b""
    while True:  # the places depend on the index's length, and that on whether they need 64 bits
        moov = moov_box(tracks, chunks, np.split(places + len(header), cuts), movie_timescale)
        longer = _ftyp(tracks) + moov + mdat
        if len(longer) == len(header):
            break
        header = longer
    moves = _moves(tracks, _sample_order([part.first for part in chunks], [part.count for part in chunks], tracks, order), len(longer))
    return Composition(header=longer, moves=moves, size=len(longer) + int(sizes.sum()))


def _ftyp(tracks: Sequence[OutputTrack]) -> bytes:
    """iso4 is the brand that has negative composition offsets (ISO/IEC 14496-12 E.6)."""
    is_negative = any(np.any(track.samples.composition < 0) for track in tracks)
    has_avc = any(fourcc(entry) in AVC_ENTRIES for track in tracks for entry in track.entries)
    brands = [b"isom", b"iso2", *([b"iso4"] if is_negative else []), *([b"avc1"] if has_avc else []), b"mp41"]
    return box(b"ftyp", b"iso4" if is_negative else b"isom", struct.pack(">I", MINOR_VERSION), *brands)


def _mdat_header(size: int) -> bytes:
    if size + HEADER <= LARGEST_32:
        return struct.pack(">I4s", size + HEADER, b"mdat")
    return struct.pack(">I4sQ", 1, b"mdat", size + LARGE_HEADER)


def _sample_order(firsts: Sequence[IntArray], counts: Sequence[IntArray], tracks: Sequence[OutputTrack], order: IntArray) -> IntArray:
    """The order of all tracks' samples, counted one track after the other, when their chunks lie in this order."""
    before = np.cumsum([0, *(len(track.samples.size) for track in tracks)])[:-1]
    first = np.concatenate([part + base for part, base in zip(firsts, before, strict=True)])[order]
    count = np.concatenate(counts)[order]
    return np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))


def _moves(tracks: Sequence[OutputTrack], order: IntArray, to: int) -> tuple[Move, ...]:
    """One for each stretch that lies in one file without a gap."""
    samples = [track.samples for track in tracks]
    file, offset, size = (np.concatenate(column)[order] for column in zip(*((s.file, s.offset, s.size) for s in samples), strict=True))
    is_new = np.ones(len(size), np.bool_)
    is_new[1:] = (np.diff(file) != 0) | (offset[1:] != offset[:-1] + size[:-1])
    first = np.flatnonzero(is_new)
    length = np.add.reduceat(size, first) if len(first) else first
    rows = zip(file[first].tolist(), offset[first].tolist(), length.tolist(), (np.cumsum(length) - length + to).tolist(), strict=True)
    return tuple(Move(file=f, offset=o, length=n, to=t) for f, o, n, t in rows if n)
