"""A new job on its way in, or one that runs again: written to the event store, which answers for it, and published in the background."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Protocol

from prometheus_client import Counter

from libs.common.domain.events import ClipsRequested, Envelope, type_of
from libs.common.domain.failures import Failure
from libs.common.runtime import tracing
from libs.common.runtime.bus import Bus
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import EVENTS_WRITTEN

log = logger(__name__)
JOBS_CREATED = Counter("clip_jobs_created_total", "Jobs that were taken on", ["source", "priority"])
_written, _created = cache(EVENTS_WRITTEN.labels), cache(JOBS_CREATED.labels)


class Opening(Protocol):
    """Where new jobs are written: job_opening.py."""

    async def open(self, envelopes: Sequence[Envelope], cap: int) -> None: ...

    async def reopen(self, replayed: Envelope, expires_at: datetime, cap: int) -> Envelope: ...


class Intake:
    """The store is the outbox: what can't be published now, the janitor's reconciler publishes later."""

    def __init__(self, opening: Opening, bus: Bus) -> None:
        self._opening = opening
        self._bus = bus
        self._publishing: set[asyncio.Task[None]] = set()

    async def take(self, envelopes: Sequence[Envelope], cap: int) -> None:
        """Returns when the jobs of one request are safe, all of them. `cap`: how many the client may have under way, 0 for any number.

        Raises Failure: TOO_MANY_ACTIVE_JOBS; outage="postgres", when they may yet have been written.
        """
        tracing.current().note({"clip.job.id": str(envelopes[0].job_id)})
        await self._opening.open(envelopes, cap)
        for envelope in envelopes:
            fault_point("api", "stored", envelope.job_id)
            self._send(envelope)
            self._count(envelope)
        for other in envelopes[1:]:  # the first is in the line of its request
            log.info("job taken on", job_id=str(other.job_id))

    async def reopen(self, replayed: Envelope, cause: Envelope, *, expires_at: datetime, cap: int) -> Envelope:
        """A job that runs again from `cause` on: returns the event that opened this run, which may be another's; then nothing is sent.

        Raises Failure as `take` does.
        """
        stored = await self._opening.reopen(replayed, expires_at, cap)
        if stored.event == replayed.event:
            self._send(cause)
            EVENTS_WRITTEN.labels(type_of(replayed.event)).inc()
            log.info("job reopened", job_id=str(replayed.job_id), run=replayed.run)
        return stored

    def _send(self, envelope: Envelope) -> None:
        task = asyncio.create_task(self._publish(envelope))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _publish(self, envelope: Envelope) -> None:
        try:
            await self._bus.publish(envelope)
            fault_point("api", "published", envelope.job_id)
        except Failure as failure:
            log.warning("not published; the reconciler will", job_id=str(envelope.job_id), error=failure.message)
        except Exception:
            log.exception("not published; the reconciler will", job_id=str(envelope.job_id))

    def _count(self, envelope: Envelope) -> None:
        _written(type_of(envelope.event)).inc()
        if isinstance(envelope.event, ClipsRequested):
            _created(envelope.event.source_type, envelope.priority).inc()

    @property
    def under_way(self) -> int:
        """Jobs that are safe and just being published."""
        return len(self._publishing)

    async def settled(self) -> None:
        """Return when nothing is being published any more."""
        while self._publishing:
            await asyncio.wait(self._publishing)
