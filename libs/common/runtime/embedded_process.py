"""One local server as a child process: start, stop, kill, restart. What it serves is in embedded_*.py."""

import asyncio
import ctypes
import fcntl
import os
import signal
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.01
LOG_TAIL_BYTES = 2000

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE, _CAPABILITY_VERSION_3 = 1, 0x20080522
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2


class ServerFailed(RuntimeError):
    """A local server did not come up; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Account:
    """Whom a program runs as when we are root. `everywhere`: it keeps the right to enter folders that are closed to it."""

    uid: int
    gid: int
    everywhere: bool = False


@dataclass(frozen=True)
class Program:
    """How one server is run. `ready` raises OSError while it does not answer; `prepare` runs before each start.

    `prepare` gets a descriptor that programs of its own must inherit: the next start waits until nobody holds it.
    """

    name: str
    argv: tuple[str, ...]
    folder: Path
    prepare: Callable[[int], Awaitable[None]]
    ready: Callable[[], Awaitable[None]]
    environ: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"


def tied_to_parent(death_signal: signal.Signals, account: Account | None = None) -> Callable[[], None]:
    """A `preexec_fn`: the child gets `death_signal` when this process dies, even by kill -9."""
    parent = os.getpid()

    def in_child() -> None:
        if account:
            _become(account)
        # After the change of user, which would clear it again.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def _become(account: Account) -> None:
    _LIBC.prctl(_PR_SET_KEEPCAPS, 1)
    if account.everywhere:  # without it access(2), by which initdb looks for its postgres, heeds no capability
        _LIBC.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    kept = 1 << _CAP_DAC_OVERRIDE if account.everywhere else 0
    # Where root itself lacks the capability this changes nothing, and the server's log says which folder is closed.
    _LIBC.capset(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), struct.pack("6I", kept, kept, kept, 0, 0, 0))
    if kept:
        _LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


class Server:
    """A program that can be started, stopped and killed again and again, with the same port and the same data."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the running process; LookupError when there is none."""
        if self._process is None:
            raise LookupError(f"{self.program.name} is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start it and return when it answers. Raises ServerFailed."""
        self.program.folder.mkdir(parents=True, exist_ok=True)
        lock = await self._predecessor_gone()
        try:
            await self.program.prepare(lock)
            self._process = await self._spawn(lock)
        finally:
            os.close(lock)
        try:
            await self._answering()
        except BaseException:
            await self.kill()
            raise

    async def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(self.program.stop_signal)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """kill -9, as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _predecessor_gone(self) -> int:
        """A lock that every process of the server inherits: to hold it is to know that the last of the old ones has ended."""
        lock = os.open(self.program.folder / "running.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not _taken(lock):
                    await asyncio.sleep(POLL_SECONDS)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, TimeoutError):
                raise ServerFailed(f"an earlier {self.program.name} of {self.program.folder} does not end") from None
            raise
        return lock

    async def _spawn(self, lock: int) -> asyncio.subprocess.Process:
        program = self.program
        with program.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.folder,
                env=child_environ(program),
                pass_fds=(lock,),
                start_new_session=True,
                preexec_fn=tied_to_parent(program.stop_signal, program.account),
            )

    async def _answering(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise self._failure(f"did not answer within {START_SECONDS:.0f} s") from None

    async def _answers(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise self._failure("ended at its start")
        try:
            await self.program.ready()
        except (OSError, EOFError):
            return False
        # What answered may be another program on the same port: ours has then ended.
        return self._process.returncode is None

    def _failure(self, what: str) -> ServerFailed:
        return ServerFailed(f"the local {self.program.name} server {what}; the end of {self.program.log}:\n{tail(self.program.log)}")


def child_environ(program: Program) -> dict[str, str]:
    """Nothing of ours leaks in (PGDATA, RCLONE_…), and what would go to the home or temporary folder stays in its own."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(program.folder),
        "TMPDIR": str(program.folder),
        "LC_ALL": "C",
        **program.environ,
    }


def tail(log: Path) -> str:
    """The last lines of a log."""
    if not log.exists():
        return ""
    return log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
