"""Memory for windows, used again and again: fresh pages cost more CPU than all else in a copy."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

BUFFER_BYTES = 32 << 20
BUFFERS = 4
"""So many copies at once stay in memory; a further one, or a larger, goes to the scratch folder."""


class Buffers:
    """What one job left in a buffer is still there for the next, which must read only what it has written itself."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap | None] = [None] * BUFFERS

    @contextmanager
    def lent(self, size: int) -> Iterator[mmap.mmap | None]:
        """One for `size` bytes, the last used first; None when it would have to be larger, or when all are taken."""
        if size > BUFFER_BYTES or not self._free:
            yield None
            return
        buffer = self._free.pop() or mmap.mmap(-1, BUFFER_BYTES)
        try:
            yield buffer
        finally:
            self._free.append(buffer)
