"""The command as a person or a script runs it: a process of its own, with its output in a file, in a pipe or in a terminal."""

import asyncio
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from tests.clients.cli.warm import Typed, is_alike
from tests.clients.cli.warm import typed as typed_warm
from tests.whole_stack import System

COMMAND = (sys.executable, "-m", "clipstream.cli")
PATIENCE = 60.0
ROWS, COLUMNS = 40, 120


def environ_of(home: Path, **variables: str) -> dict[str, str]:
    """A person's who has set nothing up, and these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPSTREAM_", "XDG_", "NO_COLOR"))}
    return kept | {"HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": str(COLUMNS)} | variables


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def run(
    *argv: str, environ: Mapping[str, str], folder: Path, command: tuple[str, ...] = COMMAND, stdin: int = subprocess.DEVNULL
) -> Said:
    """In pipes, to its end."""
    process = await asyncio.create_subprocess_exec(
        *command, *argv, env=environ, cwd=folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


def _run_warm(wish: Typed) -> Said:
    with TemporaryFile() as out, TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
        code = typed_warm(wish, (nothing.fileno(), out.fileno(), err.fileno()))
        said = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace") for file in (out, err)]
    return Said(code, *said)


@dataclass
class Screen:
    """A process in a terminal of its own: what it wrote, what is typed to it."""

    process: asyncio.subprocess.Process
    terminal: int
    written: bytearray = field(default_factory=bytearray)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def text(self) -> str:
        """Without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written.decode(errors="replace"))

    def read(self) -> None:
        try:
            self.written += os.read(self.terminal, 65536)
        except OSError:  # nobody has the other end open any more
            asyncio.get_running_loop().remove_reader(self.terminal)
        self.changed.set()

    async def until(self, pattern: str) -> str:
        """What was found, once it was written."""
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(pattern, self.text)):
                self.changed.clear()
                await self.changed.wait()
        return found[0]

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def typed(*argv: str, environ: Mapping[str, str], folder: Path) -> AsyncIterator[Screen]:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *argv, env=environ, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=lambda: _own_terminal(theirs)
    )
    os.close(theirs)
    screen = Screen(process, ours)
    asyncio.get_running_loop().add_reader(ours, screen.read)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


def _own_terminal(theirs: int) -> None:
    """So that Ctrl-C typed there becomes a SIGINT here."""
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)


@dataclass(frozen=True)
class Shell:
    """Where commands are typed. Variables that a command is given go over the environment's."""

    folder: Path
    environ: Mapping[str, str]

    async def run(self, *argv: str, stdin: int = subprocess.DEVNULL, **variables: str) -> Said:
        environ = {**self.environ, **variables}
        if stdin == subprocess.DEVNULL and is_alike(environ):
            async with asyncio.timeout(PATIENCE):
                return await asyncio.to_thread(_run_warm, Typed(list(argv), environ, str(self.folder)))
        return await run(*argv, environ=environ, folder=self.folder, stdin=stdin)

    def typed(self, *argv: str, **variables: str) -> AbstractAsyncContextManager[Screen]:
        return typed(*argv, environ={**self.environ, **variables}, folder=self.folder)


@contextmanager
def at_rest(system: System, service: str) -> Iterator[None]:
    """Its jobs wait meanwhile."""
    pid = system.pid(service)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
