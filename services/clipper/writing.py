"""Puts a composed MP4 into a file: the bytes that its samples have elsewhere, moved to their places."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.clipper.mp4.composing import Composition, Move
from services.clipper.window import FileMap, Held

PARTS_AT_ONCE = 1024
"""Of one system call: IOV_MAX."""
AT_ONCE = 4 << 20
"""Bytes, about: so much of a file is memory of ours while it is copied."""


async def written(composition: Composition, sources: Sequence[Held], to: Path) -> None:
    """Cancelled, it waits until nothing is written any more: the file may be memory that the next job is lent."""
    writing = asyncio.ensure_future(asyncio.to_thread(_write, composition, sources, to))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _write(composition: Composition, sources: Sequence[Held], to: Path) -> None:
    """The composed file: its header, then the bytes that it takes from `sources`. What was there is overwritten, its pages kept."""
    views = [memoryview(source) for source in sources]
    parts = [memoryview(composition.header), *(part for move in composition.moves for part in _pieces(views[move.file], move))]
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0) as output:
        done = 0
        while done < len(parts):
            written = os.writev(output.fileno(), _some(parts, done))
            while done < len(parts) and written >= len(parts[done]):
                written -= len(parts[done])
                done += 1
            if written:
                parts[done] = parts[done][written:]
            for source in sources:
                if isinstance(source, FileMap):
                    source.let_go()
        os.ftruncate(output.fileno(), composition.size)


def _pieces(view: memoryview, move: Move) -> Iterator[memoryview]:
    for at in range(move.offset, move.offset + move.length, AT_ONCE):
        yield view[at : min(at + AT_ONCE, move.offset + move.length)]


def _some(parts: Sequence[memoryview], done: int) -> Sequence[memoryview]:
    """The next, for one call."""
    stop, size = done, 0
    while stop < len(parts) and stop - done < PARTS_AT_ONCE and size < AT_ONCE:
        size += len(parts[stop])
        stop += 1
    return parts[done:stop]
