"""The clipper as the benchmarks see it: a warm worker process that cuts when asked, and what its whole process tree has cost."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import msgspec

from bench.cutting.cuts import Cut
from bench.cutting.orders import Answer, Order, decode_answer
from bench.processes import tree_cpu

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0
LINE_BYTES = 1 << 16


class CutFailed(RuntimeError):
    """A cut that the benchmark needs did not succeed; the message is the handler's."""


def key_of(cut: Cut) -> str:
    """Where its source is stored."""
    return f"sources/bench/{cut.source.name}.mp4"


class Clipper:
    """Any number of cuts at once; the worker runs them all in its one loop, as the service does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._reader = asyncio.create_task(self._read())

    @property
    def cpu(self) -> float:
        """CPU seconds so far, of the worker and all its children, alive or reaped."""
        return tree_cpu(self._process.pid)

    async def cut(self, cut: Cut, *, keep: Path | None = None, upload: bool = False, verify: bool = True, verify_again: int = 0) -> Answer:
        """Raises CutFailed."""
        order = Order(
            id=next(self._numbers),
            key=key_of(cut),
            size=cut.source.path.stat().st_size,
            seconds=cut.source.seconds * cut.source.loops,
            start=cut.start,
            end=cut.end,
            keep=str(keep) if keep else None,
            upload=upload,
            verify=verify,
            verify_again=verify_again,
        )
        answer = await self._ask(order)
        if answer.error:
            raise CutFailed(f"{cut.source.name} [{cut.start}, {cut.end}): {answer.error}")
        return answer

    async def _ask(self, order: Order) -> Answer:
        assert self._process.stdin is not None  # noqa: S101  for the type checker: it was asked for
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[order.id] = answered
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(PATIENCE):
            return await answered

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  as above
        while line := await self._process.stdout.readline():
            answer = decode_answer(line)
            self._waiting.pop(answer.id).set_result(answer)
        for waiting in self._waiting.values():
            waiting.set_exception(CutFailed("the worker ended; its log says why"))

    async def close(self) -> None:
        """The worker ends when its orders do."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self._reader


@asynccontextmanager
async def running_clipper(variables: Mapping[str, str], scratch: Path, log: Path) -> AsyncIterator[Clipper]:
    """One worker on the S3 that `variables` name."""
    environ = {**os.environ, **variables, "SCRATCH_DIR": str(scratch)}
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.cutting.worker"),
            cwd=ROOT,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            limit=LINE_BYTES,
        )
    clipper = Clipper(process)
    try:
        yield clipper
    finally:
        await clipper.close()


async def many(clippers: Sequence[Clipper], cuts: Sequence[Cut], *, at_once: int, verify: bool = True) -> None:
    """These cuts, `at_once` of them at any time, spread over the workers."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int, cut: Cut) -> None:
        async with places:
            await clippers[number % len(clippers)].cut(cut, verify=verify)

    await asyncio.gather(*(one(number, cut) for number, cut in enumerate(cuts)))
