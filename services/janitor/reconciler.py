"""Lost messages: finds jobs that are silent past their deadline and publishes what should be in the queue and is not.

CLIPS keeps a message until its stage has acked it, so a job that has one there, waiting or in hand, is left to NATS.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.domain.events import SUBJECTS, Envelope, decode, type_of
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import CLIPS, subject_for
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from libs.common.runtime.telemetry import logger
from services.janitor.metrics import RECONCILED
from services.janitor.overdue import Deadlines, overdue
from services.janitor.schedule import alone, every
from services.janitor.settings import JanitorSettings

log = logger(__name__)
PAGE = 100
STAGES = {subject: stage for stage, subject in SUBJECTS.items()}


async def reconcile(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time looks for lost messages, for ever."""
    deadlines = Deadlines(queued=settings.reconcile_queued_sec, attempt=settings.clip_max_runtime_sec, margin=settings.reconcile_margin_sec)
    look = alone(c.store, "reconciler", lambda: mend_all(c.store, c.bus, deadlines, datetime.now(UTC)))
    await every(settings.reconcile_every_sec, look, c.health)


async def mend_all(store: EventStore, bus: JetStreamBus, deadlines: Deadlines, now: datetime) -> int:
    """One look at all open jobs that are silent; the number of messages that were published again."""
    queue, published, after = Queue(bus), 0, UUID(int=0)
    while jobs := await store.silent(now - deadlines.least, after=after, limit=PAGE):
        after = jobs[-1]
        histories = await asyncio.gather(*(store.history(job) for job in jobs))
        await _close(store, histories)
        for history in histories:
            cause = overdue(history, now, deadlines)
            if cause and not await queue.holds(cause):
                published += await _publish(bus, cause)
    return published


async def _close(store: EventStore, histories: Iterable[list[Envelope]]) -> None:
    over = [history[-1].job_id for history in histories if history and _is_settled(fold(history))]
    if over:
        await store.close(over)


def _is_settled(job: Job) -> bool:
    return job.is_over or job.requested is None


async def _publish(bus: JetStreamBus, cause: Envelope) -> bool:
    """False when the stream had this message within its duplicate window: it drops the copy, and we ask again at the next look."""
    published = await bus.publish(cause)
    stage = STAGES[type_of(cause.event)]
    log.warning(
        "lost message published again", stage=stage, job_id=str(cause.job_id), correlation_id=cause.correlation_id, dropped=not published
    )
    if published:
        RECONCILED.labels(stage).inc()
    return published


class Queue:
    """Which jobs have a message in which lane. A lane is read once, when it is first asked about."""

    def __init__(self, bus: JetStreamBus) -> None:
        self._messages = StoredMessages(bus, CLIPS)
        self._jobs: dict[str, set[str]] = {}

    async def holds(self, cause: Envelope) -> bool:
        subject = subject_for(type_of(cause.event), cause.priority)
        if subject not in self._jobs:
            self._jobs[subject] = {job_of(message) async for message in self._messages.walk(subject)}
        return str(cause.job_id) in self._jobs[subject]


def job_of(message: StoredMessage) -> str:
    """The id of the message's job, empty if it names none. What an operator published by hand has it only in the body."""
    if named := message.headers.get("Clip-Job-Id"):
        return named
    try:
        return str(decode(message.body).job_id)
    except msgspec.DecodeError:
        return ""
