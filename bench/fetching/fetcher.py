"""Our side: a warm resolver in a process of its own, asked over a pipe, and what each of its fetches costs."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.fetching.ranges import Range
from bench.fetching.worker import Order
from bench.processes import Spent, tree_cpu
from services.resolver.fetch.words import Fetched, decoded
from tests.resolver.visiting import NOWHERE, allowing

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0


class FetchFailed(RuntimeError):
    """A fetch that the benchmark needs did not succeed."""


def permitted(port: int) -> dict[str, str]:
    """Variables with which a resolver may visit the site at this port, as patient as it usually is."""
    return {name: value for name, value in allowing(port).items() if name != "SOURCE_STALL_SEC"}


@dataclass(frozen=True, slots=True)
class Fetcher:
    """One fetch at a time."""

    process: asyncio.subprocess.Process

    async def fetch(self, url: str, wanted: Range, folder: Path) -> tuple[Fetched, Spent]:
        """From the request to the file; CPU of the resolver's process, which carries the bytes, and of its child. Raises FetchFailed."""
        order = Order(url=url, start=wanted.start, end=wanted.end, folder=str(folder))
        cpu, began = tree_cpu(self.process.pid), time.perf_counter()
        answer = decoded(await self._asked(msgspec.json.encode(order) + b"\n"))
        spent = Spent(time.perf_counter() - began, tree_cpu(self.process.pid) - cpu)
        if not isinstance(answer, Fetched):
            raise FetchFailed(f"{url} [{wanted.start}, {wanted.end}): {answer}")
        return answer, spent

    async def _asked(self, line: bytes) -> str:
        assert self.process.stdin is not None  # noqa: S101  for the type checker: it was asked for
        assert self.process.stdout is not None  # noqa: S101  as above
        self.process.stdin.write(line)
        async with asyncio.timeout(PATIENCE):
            answer = await self.process.stdout.readline()
        if not answer:
            raise FetchFailed("the worker ended; its log says why")
        return answer.decode()


@asynccontextmanager
async def running_fetcher(port: int, log: Path) -> AsyncIterator[Fetcher]:
    """A worker that may visit the site at this port."""
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.fetching.worker"),
            cwd=ROOT,
            env={**os.environ, **NOWHERE, **permitted(port)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
        )
    try:
        yield Fetcher(process)
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """The worker ends when its orders do."""
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
