"""Lost messages: finds jobs that are silent past their deadline and publishes what should be in the queue and is not.

CLIPS keeps a message until its stage has acked it, so a job that has one there, waiting or in hand, is left to NATS.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.domain.events import SUBJECTS, Envelope, Priority, decode, type_of
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import CLIPS, subject_for
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.logs import logger
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from services.janitor.lost import Lost, Waiting
from services.janitor.metrics import JOBS_SILENT, RECONCILED
from services.janitor.overdue import Deadlines, overdue
from services.janitor.schedule import alone
from services.janitor.settings import JanitorSettings

log = logger(__name__)
PAGE = 100
STAGES = {subject: stage for stage, subject in SUBJECTS.items()}
BEYOND = 0.1
"""Of the watermark: work that was taken on may go so far beyond the mark at which the API takes no more, so it comes before new work."""
SHARE = 0.9
"""Of the stream's own limits; the API stops at less, and the stages need the rest."""


async def reconcile(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time looks for lost messages, for ever."""
    deadlines = deadlines_of(settings)
    most = ceiling(settings.worker_queue_high_watermark)
    look = alone(c.store, "reconciler", lambda: mend_all(c.store, c.bus, deadlines, datetime.now(UTC), most=most))
    await for_ever("reconciler", look, every(settings.reconcile_every_sec, c.health))


def deadlines_of(settings: JanitorSettings) -> Deadlines:
    return Deadlines(queued=settings.reconcile_queued_sec, attempt=settings.clip_max_runtime_sec, margin=settings.reconcile_margin_sec)


def ceiling(watermark: int) -> int:
    """Messages in the stream up to which lost ones are published again."""
    return watermark + max(1, int(watermark * BEYOND))


async def mend_all(store: EventStore, bus: JetStreamBus, deadlines: Deadlines, now: datetime, *, most: int = 10**9) -> int:
    """One look at all open jobs that are silent; the number of messages that were published again, as far as the stream has room."""
    waiting = Waiting(room=(await StoredMessages(bus, CLIPS).fill()).room(most, SHARE))
    queue, after, silent = Queue(bus), UUID(int=0), 0
    while jobs := await store.silent(now - deadlines.least, after=after, limit=PAGE):
        after = jobs[-1]
        histories = await asyncio.gather(*(store.history(job) for job in jobs))
        await _close(store, histories)
        for lost in found(histories, now, deadlines):
            silent += 1
            if not await queue.holds(lost.cause):
                waiting.add(lost)
    JOBS_SILENT.set(silent)
    gone = [await publish_lost(bus, lost) for lost in waiting.in_turn()]
    if waiting.added > len(gone):
        log.warning("lost messages wait for room in the queue", waiting=waiting.added - len(gone))
    return sum(gone)


def found(histories: Iterable[Sequence[Envelope]], now: datetime, deadlines: Deadlines) -> Iterable[Lost]:
    for history in histories:
        if cause := overdue(history, now, deadlines):
            yield Lost.of(cause, history[-1], now, deadlines)


async def _close(store: EventStore, histories: Iterable[list[Envelope]]) -> None:
    await store.close([history[-1] for history in histories if history and _is_settled(fold(history))])


def _is_settled(job: Job) -> bool:
    return job.is_over or job.requested is None


async def publish_lost(bus: JetStreamBus, lost: Lost) -> bool:
    """False when another janitor published it for this very silence."""
    cause, stage = lost.cause, STAGES[type_of(lost.cause.event)]
    published = await bus.publish(cause, message_id=lost.message_id)
    fault_point("janitor", "reconciled", cause.job_id)
    log.warning(
        "lost message published again", stage=stage, job_id=str(cause.job_id), correlation_id=cause.correlation_id, dropped=not published
    )
    if published:
        RECONCILED.labels(stage).inc()
    return published


class Queue:
    """Which jobs have a message for which stage, in whatever lane: the operator publishes by hand on the plain subject.

    A lane is read once, when it is first asked about.
    """

    def __init__(self, bus: JetStreamBus) -> None:
        self._messages = StoredMessages(bus, CLIPS)
        self._jobs: dict[str, set[str]] = {}

    async def holds(self, cause: Envelope) -> bool:
        for priority in Priority:
            if str(cause.job_id) in await self._lane(subject_for(type_of(cause.event), priority)):
                return True
        return False

    async def _lane(self, subject: str) -> set[str]:
        if subject not in self._jobs:
            self._jobs[subject] = set(await self._messages.gather(subject, job_of))
        return self._jobs[subject]


def job_of(message: StoredMessage) -> str:
    """The id of the message's job, empty if it names none. What an operator published by hand has it only in the body."""
    if named := message.headers.get("Clip-Job-Id"):
        return named
    try:
        return str(decode(message.body).job_id)
    except msgspec.DecodeError:
        return ""
