"""Puts a composed MP4 into a file: the bytes that its samples have elsewhere, moved to their places."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from services.clipper.mp4.composing import Composition
from services.clipper.window import Held

PARTS_AT_ONCE = 1024
"""Of one system call: IOV_MAX."""


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
    parts = [memoryview(composition.header), *(views[move.file][move.offset : move.offset + move.length] for move in composition.moves)]
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0) as output:
        done = 0
        while done < len(parts):
            written = os.writev(output.fileno(), parts[done : done + PARTS_AT_ONCE])
            while done < len(parts) and written >= len(parts[done]):
                written -= len(parts[done])
                done += 1
            if written:
                parts[done] = parts[done][written:]
        os.ftruncate(output.fileno(), composition.size)
