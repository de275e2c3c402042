"""Programs that are forked from one that has imported all they need: each has pipes, limits and an end of its own, as a started one has.

The nursery forks a keeper for each child. The keeper forks the child, tells how it ended, and kills it with all that it started when who
asked for it lets go, or dies; so nobody but a parent ever uses a process id. What a child does to itself ends with it.
"""

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import traceback
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import NoReturn

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.child_words import ChildWords
from libs.common.runtime.process import Limits, confined, kill_group, spawn
from libs.common.runtime.warm_process import ROOT

_ASKED = b"+"
"""A child is asked for; with it come its ends of the conversation, of its stderr, and of its leash."""
_ENDS = 3


class Child:
    """A program at work, as `process.ended` takes it; who asked for it ends it with `kill`."""

    def __init__(self, talk: tuple[StreamReader, StreamWriter], errors: tuple[StreamReader, StreamWriter], leash: socket.socket) -> None:
        self.stdout, self.stdin = talk
        self.stderr, self._errors = errors
        self._leash = leash
        self._code: int | None = None

    async def wait(self) -> int:
        """Its exit code; negative, the signal that killed it."""
        if self._code is None:
            said = b""
            with suppress(ConnectionError):
                said = await asyncio.get_running_loop().sock_recv(self._leash, 16)
            self._code = int(said or -signal.SIGKILL)  # with its keeper it is gone too
        return self._code

    async def kill(self) -> None:
        """Returns when neither it nor anything that it started runs any more. Does nothing to one that is over."""
        self.stdin.close()
        self._errors.close()
        with suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)
        await self.wait()
        self._leash.close()


class Nursery:
    """Children of `command`, a program that calls `rear`. It is started when the first child is asked for, and again when it was lost."""

    def __init__(self, command: Sequence[str], limits: Limits) -> None:
        self._command = (*command, msgspec.json.encode(limits).decode())
        self._running: tuple[Process, socket.socket, ChildWords] | None = None
        self._starting = asyncio.Lock()

    async def child(self) -> Child:
        """One that waits for what is written to it. Raises Failure when there can be none."""
        with ExitStack() as kept:
            pairs = [socket.socketpair() for _ in range(_ENDS)]
            for end in chain(*pairs):
                kept.callback(end.close)
            await self._ask([theirs.fileno() for _, theirs in pairs])
            talk, errors, leash = (ours for ours, _ in pairs)
            leash.setblocking(False)  # noqa: FBT003  its own
            child = Child(await asyncio.open_unix_connection(sock=talk), await asyncio.open_unix_connection(sock=errors), leash)
            kept.pop_all()
        for _, theirs in pairs:
            theirs.close()
        return child

    async def close(self) -> None:
        running, self._running = self._running, None
        if running:
            running[1].close()
            await kill_group(running[0])

    async def _ask(self, ends: list[int]) -> None:
        """Once more when the nursery is gone: it may have been killed while it had nothing to do."""
        for _ in range(2):
            async with self._starting:
                if self._running is None or self._running[0].returncode is not None:
                    await self.close()
                    self._running = await self._started()
            try:
                socket.send_fds(self._running[1], [_ASKED], ends)
            except BlockingIOError:
                break
            except OSError:
                await self.close()
            else:
                return
        raise Failure(Code.RETRYABLE_ERROR, "no child process can be started now")

    async def _started(self) -> tuple[Process, socket.socket, ChildWords]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await spawn(self._command, cwd=ROOT, stdin=theirs.fileno(), stderr=PIPE)
        ours.setblocking(False)  # noqa: FBT003  its own
        return process, ours, ChildWords(process, "nursery")


@asynccontextmanager
async def open_nursery(command: Sequence[str], limits: Limits) -> AsyncIterator[Nursery]:
    """Each child is held to the limits but for `wall`, which is the caller's to keep. None is left at the end."""
    nursery = Nursery(command, limits)
    try:
        yield nursery
    finally:
        await nursery.close()


def rear(main: Callable[[], object]) -> None:
    """Fork a child that runs `main` whenever one is asked for, until nobody can ask any more.

    The main of a program that has imported all that `main` needs, and started no thread.
    """
    limits = msgspec.json.decode(sys.argv[-1], type=Limits)
    control = socket.socket(fileno=os.dup(0))
    _lead_nowhere(0, 1)
    gc.disable()
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    while _is_asked(control, limits, main):
        pass


def _reap(*_: object) -> None:
    """Keepers that are over. Not left to the system, which would not count their CPU time as ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _is_asked(control: socket.socket, limits: Limits, main: Callable[[], object]) -> bool:
    asked, ends, _, _ = socket.recv_fds(control, len(_ASKED), _ENDS)
    if not asked:
        return False
    stay_with_nursery = confined(None)
    try:
        if os.fork() == 0:
            _keep(stay_with_nursery, ends, limits, main)
    finally:
        for end in ends:
            os.close(end)
    return True


def _keep(stay_with_nursery: Callable[[], None], ends: list[int], limits: Limits, main: Callable[[], object]) -> NoReturn:
    """The keeper: as the child's parent it alone may use the child's id, until it has reaped it."""
    try:
        stay_with_nursery()
        talk, errors, leash = ends
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(tell)
        stay_with_keeper = confined(limits)
        if (child := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live(stay_with_keeper, talk, errors, main)
        os.close(talk)
        os.close(errors)
        while leash not in select.select([told, leash], [], [])[0] and not _is_over(child):
            os.read(told, 64)
        os.write(leash, b"%d" % _ended(child))
    finally:  # nothing may return into the nursery's own loop
        os._exit(0)


def _is_over(child: int) -> bool:
    """It may only have been stopped; macOS can't tell before Python 3.13."""
    return not hasattr(os, "waitid") or os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(child: int) -> int:
    """Kill it with its group, where it lives; how it ended."""
    for kill in (os.killpg, os.kill):  # it may not have a group of its own yet
        with suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _live(stay_with_keeper: Callable[[], None], talk: int, errors: int, main: Callable[[], object]) -> NoReturn:
    """The child: it has what a started program has, and nothing else of its parents'."""
    code = 1
    try:
        os.setsid()
        stay_with_keeper()
        os.dup2(talk, 0)
        os.dup2(talk, 1)
        os.dup2(errors, 2)
        _close_others()
        gc.enable()
        main()
        sys.stdout.flush()
        code = 0
    except BaseException:  # noqa: BLE001  the way a program breaks
        traceback.print_exc()
    finally:
        os._exit(code)


def _close_others() -> None:
    """Only those that are open: `os.closerange` may try all that there could be, in some containers a billion."""
    for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        if descriptor > sys.stderr.fileno():
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)


def _lead_nowhere(*descriptors: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
