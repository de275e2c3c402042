"""The tables of a composed movie's samples, as boxes (ISO/IEC 14496-12 8.6, 8.7). Pure."""

import struct
from collections.abc import Iterator

import numpy as np

from services.clipper.mp4.boxes import NotUnderstood, full_box
from services.clipper.mp4.edits import LARGEST_32, LARGEST_SIGNED
from services.clipper.mp4.interleaving import Chunks
from services.clipper.mp4.output import OutputSamples
from services.clipper.mp4.sample_table import IntArray


def sample_table_boxes(samples: OutputSamples, chunks: Chunks, places: IntArray) -> Iterator[bytes]:
    """All of stbl but stsd. Raises NotUnderstood for what MP4 has no room for: sizes and times of 32 bits."""
    yield _table(b"stts", 0, _runs(samples.duration), ">u4")
    if np.any(samples.composition):
        yield from _composition(samples)
    if not np.all(samples.is_sync):
        yield _table(b"stss", 0, np.flatnonzero(samples.is_sync)[:, None] + 1, ">u4")
    yield _table(b"stsc", 0, _chunk_runs(chunks), ">u4")
    yield full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(samples.size)), _packed(samples.size, ">u4"))
    is_large = int(places.max(initial=0)) > LARGEST_32
    yield _table(b"co64" if is_large else b"stco", 0, places[:, None], ">u8" if is_large else ">u4")


def _table(kind: bytes, version: int, rows: IntArray, layout: str) -> bytes:
    return full_box(kind, version, 0, struct.pack(">I", len(rows)), _packed(rows, layout))


def _packed(values: IntArray, layout: str) -> bytes:
    bounds = np.iinfo(layout)
    if values.size and (int(values.min()) < bounds.min or int(values.max()) > bounds.max):
        raise NotUnderstood("a number that MP4 has no room for")
    return values.astype(layout).tobytes()


def _runs(values: IntArray) -> IntArray:
    """Rows of how often a value follows itself, and the value."""
    first = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
    return np.stack((np.diff(first, append=len(values)), values[first]), axis=1)


def _composition(samples: OutputSamples) -> Iterator[bytes]:
    """Version 1 of ctts where an offset is negative, and then cslg, by which QuickTime learns of it (8.6.1.3, 8.6.1.4)."""
    least, most = int(samples.composition.min()), int(samples.composition.max())
    rows = _runs(samples.composition)
    yield _table(b"ctts", int(least < 0), rows, ">i4")
    present = np.cumsum(samples.duration) - samples.duration + samples.composition
    start, end = int(present.min()), int((present + samples.duration).max())
    if least < 0 and end <= LARGEST_SIGNED:
        yield full_box(b"cslg", 0, 0, struct.pack(">5i", -least, least, most, start, end))


def _chunk_runs(chunks: Chunks) -> IntArray:
    """Rows of first chunk, samples in a chunk, and sample entry (8.7.4.2)."""
    is_new = (np.diff(chunks.count, prepend=0) != 0) | (np.diff(chunks.description, prepend=0) != 0)
    first = np.flatnonzero(is_new)
    return np.stack((first + 1, chunks.count[first], chunks.description[first]), axis=1)
