"""Depth and age of every lane, open jobs, and the number of dead letters, as metrics. Every janitor measures: it only reads."""

from datetime import UTC, datetime
from functools import partial

from libs.common.domain.subjects import DLQ
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane_loads import lane_loads
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessages
from services.janitor.metrics import (
    DEAD_LETTERS_WAITING,
    JOB_OLDEST_SECONDS,
    JOBS_OPEN,
    QUEUE_ACK_PENDING,
    QUEUE_OLDEST_SECONDS,
    QUEUE_PENDING,
)
from services.janitor.settings import JanitorSettings


async def measure_queues(settings: JanitorSettings, c: Connections) -> None:
    """The task: measure the streams, for ever."""
    await for_ever("queue metrics", lambda: measure(c.bus, datetime.now(UTC)), every(settings.queue_metrics_every_sec, c.health))


async def measure_jobs(settings: JanitorSettings, c: Connections) -> None:
    """The task: measure the jobs, for ever, also while the streams are away."""
    statements = Statements(c.pool, "open_jobs.sql", "services.janitor")
    await for_ever("job metrics", partial(measure_open, statements), every(settings.queue_metrics_every_sec, c.health))


async def measure(bus: JetStreamBus, now: datetime) -> None:
    """One measurement of all lanes."""
    for load in await lane_loads(bus, now):
        QUEUE_PENDING.labels(load.stage, load.lane).set(load.depth.pending)
        QUEUE_ACK_PENDING.labels(load.stage, load.lane).set(load.depth.ack_pending)
        QUEUE_OLDEST_SECONDS.labels(load.stage, load.lane).set(load.oldest_seconds)
    DEAD_LETTERS_WAITING.set(await StoredMessages(bus, DLQ).count())


async def measure_open(statements: Statements) -> None:
    """One measurement of the jobs that are not over."""
    row = await statements.row("measured")
    JOBS_OPEN.set(row["jobs"])
    JOB_OLDEST_SECONDS.set(row["oldest"])
