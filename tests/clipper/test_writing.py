"""A composed file on its way to where it belongs: it is whole, or nobody writes on it any more."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from services.clipper import writing
from services.clipper.mp4.composing import Composition, Move


async def test_the_parts_come_from_their_sources_to_their_places(tmp_path: Path):
    moves = tuple(Move(file=n % 2, offset=n, length=2, to=3 + 2 * n) for n in range(3000))
    sources = [bytes(n % 251 for n in range(4000)), bytearray(n % 13 for n in range(4000))]
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"what was there before, and longer than the new one" * 1000)
    await writing.written(Composition(header=b"top", moves=moves, size=3 + 2 * 3000), sources, path)
    assert path.read_bytes() == b"top" + b"".join(sources[n % 2][n : n + 2] for n in range(3000))


async def test_a_cancelled_write_ends_only_when_nothing_is_written_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun, finish, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        begun.set()
        finish.wait(10)
        ended.set()

    monkeypatch.setattr(writing, "_write", slow)
    task = asyncio.create_task(writing.written(Composition(header=b"", moves=(), size=0), [], tmp_path / "clip.mp4"))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
