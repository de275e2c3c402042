"""From the boxes of a sample table (stbl) to Media. Every count is held against the number of samples before anything is expanded. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from services.clipper.mp4.boxes import Box, NotUnderstood
from services.clipper.mp4.sample_table import ChunkTable, CompositionOffsets, IntArray, Media, Runs, Sizes, Timing

MOST_SAMPLES = 20_000_000
LARGEST_DELTA = 1 << 31
LARGEST_OFFSET = 1 << 62


def read_media(stbl: Box, *, entries: int, file_size: int) -> Media:
    """`entries`: how many sample entries there are. Raises NotUnderstood where tables are missing or contradict each other."""
    sizes, count = _sizes(stbl.need(b"stsz"))
    return Media(
        count=count,
        timing=_timing(stbl.need(b"stts"), count),
        composition=_composition(stbl.child(b"ctts"), count),
        chunks=_chunks(stbl, count, entries),
        sizes=sizes,
        sync=_sync(stbl.child(b"stss"), count),
        file_size=file_size,
    )


def _table(box: Box, layout: str, columns: int, at: int = 4) -> npt.NDArray[Any]:
    """The rows of a table whose count stands `at` bytes into the box, and the rows after it. Not copied."""
    (count,) = box.unpack("I", at)
    kind = np.dtype(layout)
    start = box.body + at + 4
    if count * columns * kind.itemsize > box.end - start:
        raise NotUnderstood(f"a {box.kind!r} box that is too short")
    return np.frombuffer(box.data, kind, count * columns, start).reshape(count, columns)


def _sizes(stsz: Box) -> tuple[Sizes, int]:
    """8.7.3.2."""
    every, count = stsz.unpack("II", 4)
    if count > MOST_SAMPLES:
        raise NotUnderstood(f"{count} samples in a track")
    return Sizes(every=every, each=None if every else _table(stsz, ">u4", 1, at=8)[:, 0]), count


def _lengths(table: npt.NDArray[Any], count: int) -> IntArray:
    """The first column, as lengths of runs that make `count` samples."""
    lengths = table[:, 0].astype(np.int64)
    if int(lengths.sum()) != count:
        raise NotUnderstood("tables that contradict each other")
    return lengths


def _timing(stts: Box, count: int) -> Timing:
    """8.6.1.2."""
    table = _table(stts, ">u4", 2)
    runs, delta = Runs.of(_lengths(table, count)), table[:, 1].astype(np.int64)
    if int(delta.max(initial=0)) >= LARGEST_DELTA:
        raise NotUnderstood("decode times that go back")
    ends = np.cumsum(np.diff(runs.first) * delta)
    return Timing(runs=runs, delta=delta, start=np.concatenate((np.zeros(1, np.int64), ends))[: len(delta)])


def _composition(ctts: Box | None, count: int) -> CompositionOffsets:
    """8.6.1.3. Offsets are read as signed in version 0 too: QuickTime writes them so."""
    if ctts is None:
        return CompositionOffsets(runs=Runs.of(np.array([count])), offset=np.zeros(1, np.int64))
    runs = Runs.of(_lengths(_table(ctts, ">u4", 2), count))
    return CompositionOffsets(runs=runs, offset=_table(ctts, ">i4", 2)[:, 1].astype(np.int64))


def _chunks(stbl: Box, count: int, entries: int) -> ChunkTable:
    """8.7.4.2 and 8.7.5.2."""
    offset = _chunk_offsets(stbl)
    first, samples, description = (column.astype(np.int64) for column in _table(stbl.need(b"stsc"), ">u4", 3).T)
    lengths = np.diff(first - 1, append=len(offset))
    is_in_order = len(first) == 0 or (int(first[0]) == 1 and bool((lengths > 0).all()))
    is_in_bounds = bool(np.all((samples > 0) & (samples <= count) & (description > 0) & (description <= entries)))
    if not is_in_order or not is_in_bounds or int((lengths * samples).sum()) != count:
        raise NotUnderstood("tables that contradict each other")
    return ChunkTable(runs=Runs.of(lengths * samples), first=first - 1, samples=samples, description=description, offset=offset)


def _chunk_offsets(stbl: Box) -> npt.NDArray[Any]:
    large = stbl.child(b"co64")
    if large is None:
        return _table(stbl.need(b"stco"), ">u4", 1)[:, 0]
    offset = _table(large, ">u8", 1)[:, 0]
    if int(offset.max(initial=0)) > LARGEST_OFFSET:
        raise NotUnderstood("samples outside the file")
    return offset


def _sync(stss: Box | None, count: int) -> IntArray | None:
    """8.6.2.2: without the box every sample is one, with an empty box none."""
    if stss is None:
        return None
    sync = _table(stss, ">u4", 1)[:, 0].astype(np.int64) - 1
    if len(sync) and (int(sync[0]) < 0 or int(sync[-1]) >= count or int(np.diff(sync).min(initial=1)) < 1):
        raise NotUnderstood("a table of sync samples that is not in order")
    return sync
