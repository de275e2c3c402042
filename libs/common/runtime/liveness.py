"""Signs of life of an attempt: its heartbeat, by which the message stays ours, and its progress, which the client sees."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from libs.common.domain.failures import Failure
from libs.common.runtime.jetstream import HEARTBEAT, Delivery
from libs.common.runtime.telemetry import logger

log = logger(__name__)
PROGRESS_EVERY = 1.0
"""Seconds between two progress events of one attempt."""


@asynccontextmanager
async def heartbeat(delivery: Delivery, every: float = HEARTBEAT) -> AsyncIterator[None]:
    """Keep the message ours while we work on it, also through an outage of the server itself."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await delivery.in_progress()
            except Failure:
                log.warning("no heartbeat: the message server can't be reached")

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


@dataclass(slots=True)
class Progress:
    """Turns a handler's many words on its progress into few events. What can't be written is not worth an attempt."""

    report: Callable[[float], Awaitable[None]]
    said: float = 0.0
    at: float = field(default_factory=time.monotonic)

    async def say(self, progress: float) -> None:
        """0.0 to 1.0; less than before, or too soon after, is passed over."""
        now = time.monotonic()
        if progress <= self.said or now - self.at < PROGRESS_EVERY:
            return
        self.said, self.at = progress, now
        try:
            await self.report(round(min(progress, 1.0), 3))
        except Failure as failure:
            log.warning("progress not written", error=failure.message)
