"""A composed file on its way to where it belongs: it is whole, or nobody writes on it any more."""

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.clipper import writing
from services.clipper.mp4.composing import Composition, Move
from services.clipper.window import mapped


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


def resident(path: Path) -> int:
    """KiB of this process that are pages of the file."""
    is_ours, found = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_ours = line.endswith(str(path))
        elif is_ours and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


async def test_of_a_large_file_little_is_in_memory_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spilled, clip, seen = tmp_path / "window.bin", tmp_path / "clip.mp4", list[int]()
    content = os.urandom(1 << 20) * 20
    spilled.write_bytes(content)
    held, write = mapped(spilled), os.writev

    def watched(file: int, parts: Sequence[memoryview]) -> int:
        seen.append(resident(spilled))
        return write(file, parts)

    monkeypatch.setattr(writing.os, "writev", watched)
    moves = (Move(file=0, offset=5, length=len(content) - 5, to=3),)
    await writing.written(Composition(header=b"top", moves=moves, size=len(content) - 2), [held], clip)
    assert clip.read_bytes() == b"top" + content[5:]
    assert len(seen) >= 5
    assert max(seen) * 1024 < writing.AT_ONCE
    assert resident(spilled) == 0
