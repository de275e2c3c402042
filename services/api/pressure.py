"""Back-pressure: the API refuses new work, 503 with a time to come back, before anything behind it breaks.

The queue is measured in the background, never by a request; what this process takes on between two measurements is counted in.
What is unbegun in the table counts like what is queued, so that an outage of NATS can't pile up work without bound.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress

from nats.aio.msg import Msg
from prometheus_client import Gauge

from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import CLIPS
from libs.common.domain.worker_reports import SUBJECT, report_of, stage_of
from libs.common.runtime.background import running
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.logs import logger
from libs.common.runtime.stored_messages import Fill, StoredMessages
from services.api.intake import Intake
from services.api.load import Crews, Sample, seconds_until_room

log = logger(__name__)
BACKPRESSURE = Gauge("clip_backpressure", "1 while the API refuses new work: for the queue, or for every worker of a stage", ["reason"])

EVERY = 1.0
WINDOW = 60
"""Measurements from which the pace of the queue is told."""
SHARE = 0.8
"""Of the stream's own limits: the rest is for what the jobs that were taken on still have to publish."""
WORKERS_AGAIN = 15.0
"""Retry-After in seconds while workers wait for room on their disks: nobody knows when one has some."""


class Pressure:
    """Whether there is room for another job."""

    def __init__(self, watermark: int, *, bus: JetStreamBus, store: EventStore, intake: Intake) -> None:
        self._watermark = watermark
        self._bus, self._store, self._intake = bus, store, intake
        self._fill, self._unbegun = Fill(), 0
        self._taken = self._inside = self._seen = 0
        self._samples: deque[Sample] = deque(maxlen=WINDOW)
        self._crews = Crews()
        self._refuses = {"queue": False, "workers": False}

    @property
    def room(self) -> int:
        """Jobs that may still be taken on: as measured, less what the measurement can't have seen."""
        measured = min(self._fill.room(self._watermark, SHARE), self._watermark - self._unbegun)
        return measured - (self._taken - self._seen)

    def check(self) -> None:
        """Raises Failure(BACKPRESSURE) that says when to come back, while nothing new can be taken on."""
        if self._crews.full(time.monotonic()):
            raise Failure(Code.BACKPRESSURE, "the workers have no room for more files at the moment", retry_after=WORKERS_AGAIN)
        if (room := self.room) <= 0:
            wait = seconds_until_room(self._samples, room)
            raise Failure(Code.BACKPRESSURE, "as much work is waiting as can be taken on", retry_after=wait)

    def admitted(self) -> AbstractContextManager[None]:
        """For a request that makes a job at once: it takes its room before it begins, and gives it back if it fails."""
        self.check()
        return self.counted()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """For one that is taken on whatever has become of the room, since its file is here by now."""
        self._taken += 1
        self._inside += 1
        try:
            yield
        except BaseException:
            self._taken -= 1
            raise
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Measure and listen while inside; measured once before, where that is possible."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY):
                await self._measured()
        async with running(self._measure_for_ever(), self._listen()):
            yield

    async def _measure_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._measured()

    async def _measured(self) -> None:
        try:
            await self.measure()
        except Failure as failure:
            log.debug("load not measured", error=failure.message)
        except Exception:
            log.exception("load not measured")
        self._tell()

    async def measure(self) -> None:
        """Once. While NATS is away the stream counts as it was last seen: nobody takes anything from it either."""
        seen = self._taken - self._inside - self._intake.under_way
        self._unbegun = await self._store.unbegun(2 * self._watermark)
        if self._bus.client.is_connected:
            self._fill = await StoredMessages(self._bus, CLIPS).fill()
        self._seen = seen
        self._samples.append(Sample(time.monotonic(), self.room, self._taken))

    async def _listen(self) -> None:
        """To the workers; nats-py takes the subscription along when it reconnects."""
        while not self._bus.client.is_connected:
            await asyncio.sleep(EVERY)
        await self._bus.client.subscribe(f"{SUBJECT}.*", cb=self._hear)

    async def _hear(self, message: Msg) -> None:
        stage, report = stage_of(message.subject), report_of(message.data)
        if stage and report:
            self._crews.hear(stage, report, time.monotonic())

    def _tell(self) -> None:
        """In the metrics, and in the log when it changes."""
        now = {"queue": self.room <= 0, "workers": bool(self._crews.full(time.monotonic()))}
        for reason in (reason for reason, refuses in now.items() if refuses != self._refuses[reason]):
            (log.warning if now[reason] else log.info)("back-pressure", reason=reason, refuses=now[reason], room=self.room)
        for reason, refuses in now.items():
            BACKPRESSURE.labels(reason).set(refuses)
        self._refuses = now
