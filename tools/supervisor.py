"""Runs the lines of a Procfile as Kubernetes would run their containers: each in its own session, restarted when it dies.

honcho would stop them all when one dies, and cannot restart.
"""

import asyncio
import os
import shlex
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass

from libs.common.runtime.embedded_process import tied_to_parent

DRAIN_SECONDS = 20.0  # the services' own 15 s, and a margin
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 10.0
STEADY_SECONDS = 30.0  # who lived that long begins again with the first back-off
LONGEST_LINE_BYTES = 2**24
LAST_WORDS_SECONDS = 1.0  # for output that an orphan in a session of its own keeps open

Write = Callable[[str, str], None]


@dataclass(frozen=True)
class Service:
    """One line of the Procfile, with the environment it runs in."""

    name: str
    command: str
    environ: Mapping[str, str]


def parse_procfile(text: str) -> dict[str, str]:
    """Command by name. ValueError for a line that is neither `name: command` nor a comment."""
    lines = [line.strip() for line in text.splitlines()]
    return dict(_parse_line(line) for line in lines if line and not line.startswith("#"))


def _parse_line(line: str) -> tuple[str, str]:
    name, colon, command = line.partition(":")
    if not colon or not name.strip() or not command.strip():
        raise ValueError(f"not a Procfile line: {line!r}")
    return name.strip(), command.strip()


async def supervise(services: list[Service], write: Write) -> None:
    """Run them all until cancelled; then SIGTERM, time to finish, and no process left. `write` gets (service, line)."""
    async with asyncio.TaskGroup() as group:
        for service in services:
            group.create_task(_keep_running(service, write))


@asynccontextmanager
async def supervised(services: list[Service], write: Write) -> AsyncIterator[None]:
    """They all run while inside."""
    supervisor = asyncio.create_task(supervise(services, write))
    try:
        yield
    finally:
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor


async def _keep_running(service: Service, write: Write) -> None:
    backoff = FIRST_BACKOFF_SECONDS
    while True:
        started = time.monotonic()
        outcome = await _run_once(service, write)
        backoff = FIRST_BACKOFF_SECONDS if time.monotonic() - started > STEADY_SECONDS else backoff
        write(service.name, f"{outcome}; starting it again in {backoff} s")
        await asyncio.sleep(backoff)
        backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)


async def _run_once(service: Service, write: Write) -> str:
    """How it ended, in words. A command that can't even be started ends too."""
    output, theirs = os.pipe()
    try:
        process = await _spawn(service, theirs)
    except OSError as error:
        os.close(output)
        return f"cannot start: {error}"
    finally:
        os.close(theirs)
    lines = asyncio.create_task(_copy_lines(output, service.name, write))
    try:
        code = await process.wait()
    finally:
        await _end(process)
        await asyncio.wait({lines}, timeout=LAST_WORDS_SECONDS)
        lines.cancel()
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


async def _spawn(service: Service, output: int) -> asyncio.subprocess.Process:
    """The pipe is ours: asyncio's own would make `wait` wait for everybody who holds its other end, orphans too."""
    return await asyncio.create_subprocess_exec(
        *shlex.split(service.command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=service.environ,
        start_new_session=True,
        preexec_fn=tied_to_parent(signal.SIGTERM),
    )


async def _copy_lines(output: int, name: str, write: Write) -> None:
    reader = asyncio.StreamReader(limit=LONGEST_LINE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(output, "rb", 0))
    with closing(transport):
        async for line in reader:
            write(name, line.decode(errors="replace").rstrip("\n"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it drain, then kill what is left of its session. A second cancellation cuts the draining short."""
    try:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)  # asyncio's own would look whether it ended, and so lose its exit code
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
