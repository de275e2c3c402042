"""Run a program: its own process group, limits, deadline and bounded output. The only way that media programs run.

No shell, no inherited environment, and nothing of the program outlives the call that started it, or this process.
"""

import asyncio
import ctypes
import os
import resource
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing

CHUNK_BYTES = 65_536
LINE_BYTES = 8_192
STDERR_BYTES = 8_192
STDOUT_BYTES = 16 << 20
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "XDG_CACHE_HOME")
"""All that a program sees of our environment, which also holds the secrets."""

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: in the child only the call itself is left to do. PyDLL leaves the interpreter's lock alone.
_LIBC = ctypes.PyDLL(None) if sys.platform == "linux" else None

OnLine = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may use: seconds on the clock and on the CPU, bytes of address space, bytes of each file it writes.

    `data`: bytes of private memory, for a program that reserves more than it uses (Linux counts reservations in `memory` alone).
    """

    wall: float
    cpu: int | None = None
    memory: int | None = None
    data: int | None = None
    file_size: int | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. A negative code is the signal that killed it; stderr is its last 8 KiB, stdout its first 16 MiB."""

    code: int
    stdout: bytes
    stderr: str


async def run(
    argv: Sequence[str], *, limits: Limits, cwd: Path | None = None, on_line: OnLine | None = None, stdin: bytes | None = None
) -> Completed:
    """Run a program to its end, whatever its exit code. With `on_line` each line of stdout goes there as it comes, cut to 8 KiB.

    Cancelled, late, or with an `on_line` that raises, the whole group is killed. Raises Failure when it can't be started or is late.
    """
    name = program_in(argv)
    with tracing.span(name, attributes={"process.executable.name": name}) as span:
        process = await spawn(argv, limits=limits, cwd=cwd, stdin=DEVNULL if stdin is None else PIPE, stderr=PIPE)
        completed = await ended(process, name, limits.wall, partial(kill_group, process), on_line=on_line, stdin=stdin)
        span.note({"process.pid": process.pid, "process.exit.code": completed.code})
        if completed.code:
            span.fail("exit")
    return completed


def program_in(argv: Sequence[str]) -> str:
    """The name of the program, also behind `env` and what it sets."""
    behind = (word for word in argv[1:] if "=" not in word) if argv[0] == "env" else iter(argv)
    return Path(next(behind, argv[0])).name


class Program(Protocol):
    """One that runs: asyncio's Process, or what talks like it."""

    @property
    def stdin(self) -> StreamWriter | None: ...

    @property
    def stdout(self) -> StreamReader | None: ...

    @property
    def stderr(self) -> StreamReader | None: ...

    async def wait(self) -> int: ...


async def ended(
    program: Program,
    name: str,
    wall: float,
    kill: Callable[[], Awaitable[None]],
    *,
    on_line: OnLine | None = None,
    stdin: bytes | None = None,
) -> Completed:
    """What `run` does with a program that runs already, its stderr a pipe; `wall` seconds begin now. `kill` ends what is left of it."""
    try:
        async with asyncio.timeout(wall) as deadline:
            return await _completed(program, on_line, stdin)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Failure(Code.RETRYABLE_ERROR, f"{name} took longer than {wall:.0f} s") from None
    finally:
        await kill()


async def spawn(
    argv: Sequence[str], *, limits: Limits | None = None, cwd: Path | None = None, stdin: int = PIPE, stderr: int | None = None
) -> Process:
    """Start a program in its own process group and leave it running; `limits.wall` is the caller's to keep.

    Who spawns must end it with `kill_group`. stderr is ours unless asked for. Raises Failure when it can't be started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            stdin=stdin,
            stdout=PIPE,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=confined(limits),
        )
    except (FileNotFoundError, PermissionError):
        raise Failure(Code.INTERNAL, f"{Path(argv[0]).name} can't be started") from None
    except OSError:
        raise Failure(Code.RETRYABLE_ERROR, f"{Path(argv[0]).name} can't be started now") from None


async def kill_group(process: Process) -> None:
    """Kill a spawned program with all its children, and reap it. Does nothing to one that is over."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # The pipes alone: closing all of the transport would reap the child behind the back of asyncio's own watcher.
    transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001  asyncio has no public way to close the pipes
    for descriptor in range(3):
        if pipe := transport.get_pipe_transport(descriptor):
            pipe.close()
    await process.wait()


def confined(limits: Limits | None) -> Callable[[], None]:
    """What a child does to itself after the fork, its parent still here: it must stay trivial, for threads may have held locks."""
    parent = os.getpid()
    bounds = [*_bounds(limits), (resource.RLIMIT_CORE, (0, 0))]

    def in_child() -> None:
        for what, bound in bounds:
            resource.setrlimit(what, bound)
        if _LIBC:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def _bounds(limits: Limits | None) -> list[tuple[int, tuple[int, int]]]:
    if limits is None:
        return []
    wanted = (
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_DATA, limits.data),
        (resource.RLIMIT_FSIZE, limits.file_size),
    )
    return [(what, _bound(what, value)) for what, value in wanted if value is not None]


def _bound(what: int, value: int) -> tuple[int, int]:
    """Never above what this process itself is held to."""
    _, hard = resource.getrlimit(what)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return least, least


async def _completed(program: Program, on_line: OnLine | None, stdin: bytes | None) -> Completed:
    assert program.stdout and program.stderr  # noqa: S101, PT018  run opens both; this tells the type checker
    reading = _each_line(program.stdout, on_line) if on_line else _head(program.stdout)
    stdout, stderr, _ = await asyncio.gather(reading, _tail(program.stderr), _feed(program, stdin))
    return Completed(await program.wait(), stdout, stderr.decode(errors="replace"))


async def _feed(program: Program, stdin: bytes | None) -> None:
    if program.stdin is None:
        return
    with suppress(ConnectionError):  # a program may end without reading all
        program.stdin.write(stdin or b"")
        await program.stdin.drain()
    program.stdin.write_eof()


async def _read(stream: StreamReader) -> bytes:
    """Empty at the end, also of a socket whose other end is gone with something that it had not read."""
    with suppress(ConnectionError):
        return await stream.read(CHUNK_BYTES)
    return b""


async def _head(stream: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while chunk := await _read(stream):
        kept += chunk[: STDOUT_BYTES - len(kept)]
    return bytes(kept)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await _read(stream):
        kept = (kept + chunk)[-STDERR_BYTES:]
    return kept


async def _each_line(stream: asyncio.StreamReader, on_line: OnLine) -> bytes:
    pending = b""
    while chunk := await _read(stream):
        *whole, pending = (pending + chunk).split(b"\n")
        for line in whole:
            await on_line(_text(line))
        pending = pending[:LINE_BYTES]
    if pending:
        await on_line(_text(pending))
    return b""


def _text(line: bytes) -> str:
    return line[:LINE_BYTES].decode(errors="replace").rstrip("\r")
