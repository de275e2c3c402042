"""Programs that are kept warm: workers that load their libraries once, and fork a child under limits for each request.

What the work is, its module says by calling `serve`; nothing of one request is left when the next comes.
"""

import asyncio
import gc
import os
import struct
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing
from libs.common.runtime.child_words import ChildWords
from libs.common.runtime.process import Limits, confined, kill_group, spawn

ANSWER_BYTES = 64 << 20
ROOT = Path(__file__).resolve().parents[3]
"""The folder that `libs` was imported from: there a worker finds its module, wherever the service was started."""

_BROKEN, _OUT_OF_MEMORY = 1, 2
_HEADER = struct.Struct(">iI")
"""Before each answer: how the child ended (negative: the signal that killed it), and the answer's size in bytes."""

Answer = Callable[[bytes], bytes]


class _Order(msgspec.Struct, frozen=True):
    request: bytes
    limits: Limits


class Warm:
    """Workers that answer one request each at a time. Made by `open_warm`."""

    def __init__(self, module: str, workers: int) -> None:
        self._workers = [_Worker(module) for _ in range(workers)]
        self._free = asyncio.LifoQueue[_Worker]()
        for worker in self._workers:
            self._free.put_nowait(worker)

    async def ask(self, request: bytes, limits: Limits) -> bytes:
        """The answer of `serve`'s function, run under the limits; `limits.wall` begins when a worker is free.

        Raises Failure(RETRYABLE_ERROR) when it was killed, late or short of memory, Failure(INTERNAL) when it raised.
        """
        order = msgspec.json.encode(_Order(request, limits)) + b"\n"
        worker = await self._free.get()
        try:
            with tracing.span(worker.name, attributes={"process.executable.name": worker.name}):
                return await worker.ask(order, limits.wall)
        finally:
            self._free.put_nowait(worker)

    async def close(self) -> None:
        for worker in self._workers:
            await worker.stop()


class _Worker:
    """One process, started when it is first needed and again after it was lost."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.name = module.rpartition(".")[2]
        self._running: tuple[asyncio.subprocess.Process, ChildWords] | None = None

    async def ask(self, order: bytes, wall: float) -> bytes:
        try:
            async with asyncio.timeout(wall):
                return self._judged(*await self._patiently(order))
        except TimeoutError:
            await self.stop()
            raise Failure(Code.RETRYABLE_ERROR, f"{self.name} took longer than {wall:.0f} s") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def _patiently(self, order: bytes) -> tuple[int, bytes]:
        """Once more when the worker is gone: it may have been killed while it had nothing to do."""
        for _ in range(2):
            try:
                return await self._exchange(order)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.stop()
        raise Failure(Code.RETRYABLE_ERROR, f"{self.name} was lost")

    async def _exchange(self, order: bytes) -> tuple[int, bytes]:
        process, words = self._running = self._running or await _started(self._module)
        words.are_now()
        assert process.stdin and process.stdout  # noqa: S101, PT018  spawn opens both; this tells the type checker
        process.stdin.write(order)
        await process.stdin.drain()
        code, size = _HEADER.unpack(await process.stdout.readexactly(_HEADER.size))
        return code, await process.stdout.readexactly(size)

    def _judged(self, code: int, said: bytes) -> bytes:
        if code == 0:
            return said
        if code < 0:
            raise Failure(Code.RETRYABLE_ERROR, f"{self.name} was killed by signal {-code}")
        if code == _OUT_OF_MEMORY:
            raise Failure(Code.RETRYABLE_ERROR, f"{self.name} ran out of memory")
        raise Failure(Code.INTERNAL, f"{self.name} broke") from RuntimeError(said.decode(errors="replace"))

    async def stop(self) -> None:
        """Kill it with its child. Does nothing to one that doesn't run."""
        running, self._running = self._running, None
        if running:
            await kill_group(running[0])


async def _started(module: str) -> tuple[asyncio.subprocess.Process, ChildWords]:
    process = await spawn([sys.executable, "-m", module], cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    return process, ChildWords(process, module)


@asynccontextmanager
async def open_warm(module: str, *, workers: int) -> AsyncIterator[Warm]:
    """Up to `workers` processes of `python -m module`, each started at need, all killed at the end.

    They stand in the repository's root, so paths in a request are absolute.
    """
    warm = Warm(module, workers)
    try:
        yield warm
    finally:
        await warm.close()


def serve(answer: Answer) -> None:
    """Answer what comes on stdin until it ends: the main of a worker's module, which must not start threads before.

    `answer` runs in a child whose stdin and stdout lead nowhere. What it raises is told to who asked.
    """
    gc.disable()
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        code, said = _in_child(answer, msgspec.json.decode(line, type=_Order))
        sys.stdout.buffer.write(_HEADER.pack(code, len(said)) + said)
        sys.stdout.buffer.flush()


def _in_child(answer: Answer, order: _Order) -> tuple[int, bytes]:
    """The child's exit code, and what it said; an answer too large breaks its pipe."""
    ours, theirs = os.pipe()
    confine = confined(order.limits)
    child = os.fork()
    if child == 0:
        os.close(ours)
        _answer(answer, order.request, confine, theirs)
    os.close(theirs)
    with open(ours, "rb") as pipe:  # noqa: PTH123  a descriptor, no path
        said = pipe.read(ANSWER_BYTES)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def _answer(answer: Answer, request: bytes, confine: Callable[[], None], pipe: int) -> NoReturn:
    code = _BROKEN
    try:
        confine()
        _close_standard_streams()
        code, said = _outcome(answer, request)
        with open(pipe, "wb") as to_worker:
            to_worker.write(said)
    finally:  # nothing may return into the worker's own loop
        os._exit(code)


def _close_standard_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)


def _outcome(answer: Answer, request: bytes) -> tuple[int, bytes]:
    try:
        return 0, answer(request)
    except MemoryError:
        return _OUT_OF_MEMORY, b""
    except Exception:  # noqa: BLE001  whatever it is, it is told to who asked
        return _BROKEN, traceback.format_exc().encode(errors="replace")
