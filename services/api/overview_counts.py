"""The operator's overview, measured: of as much as can be asked just now."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import UNSET, UnsetType

from libs.common.domain.failures import Failure
from libs.common.domain.subjects import DLQ
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane_loads import lane_loads
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements
from libs.common.runtime.stored_messages import StoredMessages
from services.api.overview_views import FailureCount, JobCounts, OverviewAnswer, Part, QueueView, failure_counts, job_counts

log = logger(__name__)
LATELY = timedelta(hours=24)
PATIENCE = 2.0
"""Seconds for each of those asked: what comes later is told as not known."""
Told = TypeVar("Told")


class Overview:
    """Asks NATS and Postgres side by side; each may be away without the other's part being lost."""

    def __init__(self, pool: Pool, bus: JetStreamBus) -> None:
        self._sql = Statements(pool, "overview.sql", "services.api")
        self._bus = bus

    async def measured(self, now: datetime, correlation_id: str) -> OverviewAnswer:
        queues, letters, counts = await asyncio.gather(
            _known(self._queues(now)), _known(StoredMessages(self._bus, DLQ).count()), _known(self._counts())
        )
        jobs, failures = (UNSET, UNSET) if counts is UNSET else counts
        parts: dict[Part, object] = {"queues": queues, "jobs": jobs, "failures": failures, "deadLetters": letters}
        return OverviewAnswer(
            correlation_id=correlation_id,
            queues=queues,
            jobs=jobs,
            failures=failures,
            dead_letters=letters,
            unknown=tuple(name for name, part in parts.items() if part is UNSET),
            measured_at=now,
        )

    async def _queues(self, now: datetime) -> list[QueueView]:
        return [
            QueueView(
                stage=load.stage,
                lane=load.lane,
                pending=load.depth.pending,
                ack_pending=load.depth.ack_pending,
                oldest_seconds=round(load.oldest_seconds, 1),
            )
            for load in await lane_loads(self._bus, now)
        ]

    async def _counts(self) -> tuple[JobCounts, list[FailureCount]]:
        active, ended = await self._sql.rows("active"), await self._sql.rows("ended", LATELY)
        return job_counts(active, ended), failure_counts(ended)


async def _known(reading: Awaitable[Told]) -> Told | UnsetType:
    try:
        async with asyncio.timeout(PATIENCE):
            return await reading
    except (Failure, TimeoutError) as error:
        log.warning("a part of the overview is not known", error=str(error))
        return UNSET
