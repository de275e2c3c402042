"""Signs of life of an attempt: its heartbeat, by which the message stays ours, its progress, which the client sees, and its end
when the work is no longer ours to do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from libs.common.domain.failures import Failure
from libs.common.runtime import tracing
from libs.common.runtime.bus import Delivery
from libs.common.runtime.logs import logger

log = logger(__name__)
PROGRESS_EVERY = 1.0
"""Seconds between two progress events of one attempt."""
PROGRESS_STEP = 0.01
"""What they differ by at least: however long the work takes, whoever reads its history reads a hundred of them at most."""
LOOK_EVERY = 2.0
"""Seconds between two looks whether an attempt's job still wants it: how long a cancelled job's work may go on."""
BEATS = 3
"""Heartbeats in the time after which the server gives a silent worker's message to another."""


@dataclass(slots=True)
class Hold:
    """Our hold on a message: sure while the server has heard of us within its patience."""

    patience: float
    heard: float = field(default_factory=time.monotonic)
    was_cut_off: bool = False
    """The server could not be reached at some beat: it may have given the message away though we were well."""

    @property
    def is_sure(self) -> bool:
        return time.monotonic() - self.heard < self.patience


@asynccontextmanager
async def heartbeat(delivery: Delivery, patience: float) -> AsyncIterator[Hold]:
    """Keep the message ours while we work on it, also through an outage of the server itself. `patience` seconds is its ack_wait."""
    hold = Hold(patience)

    async def beat() -> None:
        while True:
            try:
                await delivery.in_progress()
                hold.heard = time.monotonic()
            except Failure:
                hold.was_cut_off = True
                log.warning("no heartbeat: the message server can't be reached")
            await asyncio.sleep(patience / BEATS)

    with later(patience / BEATS, beat):
        yield hold


@contextmanager
def later(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Work that begins so many seconds from now and ends with the block: a block that ends before costs a timer, and no task."""
    tasks = []
    timer = asyncio.get_running_loop().call_later(seconds, lambda: tasks.append(asyncio.create_task(work())))
    try:
        yield
    finally:
        timer.cancel()
        for task in tasks:
            task.cancel()


class Overtaken(Exception):
    """The job is over, was answered, or is in another worker's hands: this attempt was ended."""


@asynccontextmanager
async def while_wanted(is_wanted: Callable[[], Awaitable[bool]], limit: float) -> AsyncIterator[None]:
    """Raises TimeoutError when the block takes longer than `limit` seconds, Overtaken soon after `is_wanted` says no."""
    overtaken = False

    async def look() -> None:
        nonlocal overtaken
        with tracing.quiet():
            while not (overtaken := not await is_wanted()):
                await asyncio.sleep(LOOK_EVERY)
        scope.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(limit) as scope:
            with later(LOOK_EVERY, look):
                yield
    except TimeoutError as error:
        if overtaken:
            raise Overtaken from error
        raise


@dataclass(slots=True)
class Progress:
    """Turns a handler's many words on its progress into few events. What can't be written is not worth an attempt."""

    report: Callable[[float], Awaitable[None]]
    said: float = 0.0
    at: float = field(default_factory=time.monotonic)

    async def say(self, progress: float) -> None:
        """0.0 to 1.0; less than before, or too soon after, is passed over."""
        now = time.monotonic()
        if progress < self.said + PROGRESS_STEP or now - self.at < PROGRESS_EVERY:
            return
        self.said, self.at = progress, now
        try:
            await self.report(round(min(progress, 1.0), 3))
        except Failure as failure:
            log.warning("progress not written", error=failure.message)
