"""Memory for windows and clips, used again and again: fresh pages cost more CPU than all else in a copy."""

import asyncio
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

BUFFER_BYTES = 24 << 20
BUFFERS = 2
"""So many copies at once stay in memory; a further one, or a larger, goes to the scratch folder."""
HAS_MEMORY_FILES = hasattr(os, "memfd_create")
"""Only Linux has them."""


class Pool(Generic[T]):
    """What one job left in a buffer is still there for the next, which must read only what it has written itself."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._free: list[T | None] = [None] * BUFFERS

    @contextmanager
    def lent(self, size: int) -> Iterator[T | None]:
        """One for `size` bytes, the last used first; None when it would have to be larger, or when all are taken."""
        if size > BUFFER_BYTES or not self._free:
            yield None
            return
        buffer = self._free.pop() or self._make()
        try:
            yield buffer
        finally:
            self._free.append(buffer)


class MemoryFile:
    """A file without a folder, which other processes of ours can read while it is lent."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")

    def __del__(self) -> None:
        os.close(self._descriptor)


@contextmanager
def linked(files: Pool[MemoryFile], name: Path, size: int) -> Iterator[None]:
    """Within this, `name` is a file in memory, if there is room for `size` bytes; else nothing is there yet."""
    with files.lent(size) if HAS_MEMORY_FILES else nullcontext() as file:
        if file:
            name.symlink_to(file.path)
        try:
            yield
        finally:
            if file:
                name.unlink(missing_ok=True)


async def kept(path: Path, to: Path) -> None:
    """What is at `path`, in memory or not, as a file that lasts as long as its folder."""
    if path.is_symlink():
        await asyncio.to_thread(shutil.copyfile, path, to)
    else:
        path.replace(to)


def windows() -> Pool[mmap.mmap]:
    return Pool(lambda: mmap.mmap(-1, BUFFER_BYTES))
