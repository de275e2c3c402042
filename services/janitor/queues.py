"""Depth and age of every lane, and the number of dead letters, as metrics. Every janitor measures: it only reads."""

from datetime import UTC, datetime

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.subjects import CLIPS, DLQ, durable, subject_for
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import Depth, StoredMessages
from services.janitor.metrics import DEAD_LETTERS_WAITING, QUEUE_ACK_PENDING, QUEUE_OLDEST_SECONDS, QUEUE_PENDING
from services.janitor.schedule import every
from services.janitor.settings import JanitorSettings


async def measure_queues(settings: JanitorSettings, c: Connections) -> None:
    """The task: measure, for ever."""
    await every(settings.queue_metrics_every_sec, lambda: measure(c.bus, datetime.now(UTC)), c.health)


async def measure(bus: JetStreamBus, now: datetime) -> None:
    """One measurement of all lanes."""
    work = StoredMessages(bus, CLIPS)
    depths = await work.depths()
    for stage in StageName:
        for priority in Priority:
            depth = depths.get(durable(stage, priority), Depth(0, 0))
            oldest = await work.first(subject_for(SUBJECTS[stage], priority)) if depth.pending or depth.ack_pending else None
            QUEUE_PENDING.labels(stage, priority).set(depth.pending)
            QUEUE_ACK_PENDING.labels(stage, priority).set(depth.ack_pending)
            QUEUE_OLDEST_SECONDS.labels(stage, priority).set((now - oldest.stored_at).total_seconds() if oldest else 0)
    DEAD_LETTERS_WAITING.set(await StoredMessages(bus, DLQ).count())
