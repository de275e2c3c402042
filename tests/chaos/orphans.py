"""Processes that outlive who started them: as a sub-reaper this process becomes their parent, and so sees them all (prctl(2))."""

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def adopting() -> Iterator[None]:
    """While inside, whoever loses its parent beneath us becomes our child."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def orphans(known: Iterable[int]) -> list[str]:
    """Command lines of our children that we did not start ourselves and that have not ended."""
    return [f"{pid}: {_command(pid)}" for pid in sorted(set(children(os.getpid())) - set(known)) if _lives(pid)]


def children(parent: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # threads come and go
                found += map(int, (task / "children").read_text().split())
    return found


def _lives(pid: int) -> bool:
    """Not a zombie: that has ended, and waits for nobody but us."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def _command(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return ""
