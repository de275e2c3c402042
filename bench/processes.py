"""What running costs: CPU seconds of a process with all its descendants, and of one program run to its end."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
PATIENCE = 900.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one run: on the clock, and user and system time of it and all that it waited for."""

    wall: float
    cpu: float


def tree_cpu(root: int) -> float:
    """CPU seconds of a process and its descendants, alive or reaped (proc(5): utime, stime, cutime, cstime).

    Counted in ticks of 10 ms: measure many pieces of work at once.
    """
    return sum(_cpu(pid) for pid in _tree(root))


def _cpu(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) * TICK
    return 0.0


def _tree(root: int) -> Iterator[int]:
    yield root
    for child in children(root):
        yield from _tree(child)


def children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # threads come and go
                found += map(int, (task / "children").read_text().split())
    return found


def command_of(pid: int) -> str:
    """The program with its arguments; empty when the process is over."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


class ProgramFailed(RuntimeError):
    """A peer or a judge could not do its work."""


async def spent_by(argv: Sequence[str]) -> Spent:
    """Run a program to its end. Raises ProgramFailed when it fails."""
    return await asyncio.to_thread(_spent_by, argv)


def _spent_by(argv: Sequence[str]) -> Spent:
    """os.wait4 gives the usage of just this child, to the microsecond."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None  # noqa: S101  for the type checker: it was asked for
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise ProgramFailed(f"{' '.join(argv)[:300]}: {said.decode(errors='replace')[-500:]}")
    return Spent(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


async def output_of(argv: Sequence[str], stdin: bytes = b"") -> tuple[bytes, str]:
    """(stdout, stderr) of a program. Raises ProgramFailed when it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, said = await process.communicate(stdin)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise ProgramFailed(f"{' '.join(argv)[:300]}: {said.decode(errors='replace')[-500:]}")
    return out, said.decode(errors="replace")
