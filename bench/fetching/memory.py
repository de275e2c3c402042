"""The memory high-water marks of a process and of those below it, as the kernel and frequent looks tell them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import children, command_of

LOOK_SECONDS = 0.02


@dataclass(slots=True)
class HighWater:
    """Bytes of the largest process, by what its command names: RSS as the kernel marks it (proc(5): VmHWM), PSS as it was seen."""

    rss: dict[str, int] = field(default_factory=dict)
    pss: dict[str, int] = field(default_factory=dict)

    def look(self, pid: int, name: str) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            self.rss[name] = max(self.rss.get(name, 0), _field(Path(f"/proc/{pid}/status"), "VmHWM:"))
            self.pss[name] = max(self.pss.get(name, 0), _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:"))


def _field(path: Path, name: str) -> int:
    """Bytes; 0 where a process that ends has none any more."""
    return next((int(line.split()[1]) << 10 for line in path.read_text().splitlines() if line.startswith(name)), 0)


@asynccontextmanager
async def watched(roots: Sequence[int], names: Sequence[str]) -> AsyncIterator[HighWater]:
    """These processes and all below them, to the end; each counts for the last of the names that its command holds."""
    found = HighWater()

    async def watch() -> None:
        while True:
            _look(found, roots, names)
            await asyncio.sleep(LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        _look(found, roots, names)


def _look(found: HighWater, roots: Sequence[int], names: Sequence[str]) -> None:
    for pid in (pid for root in roots for pid in _below(root)):
        command = command_of(pid)
        if name := next((name for name in reversed(names) if name in command), None):
            found.look(pid, name)


def _below(root: int) -> Iterator[int]:
    yield root
    for child in children(root):
        yield from _below(child)
