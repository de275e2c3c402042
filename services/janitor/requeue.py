"""Publishing what silent jobs await, at the operator's wish: the reconciler's own way, without its patience."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from libs.common.domain.causes import cause_for
from libs.common.domain.events import Envelope, StageName, type_of
from libs.common.domain.job import fold
from libs.common.domain.subjects import CLIPS
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessages
from services.janitor.lost import Lost
from services.janitor.overdue import Deadlines, awaited_stage
from services.janitor.reconciler import PAGE, SHARE, STAGES, Queue, ceiling, deadlines_of, publish_lost
from services.janitor.settings import JanitorSettings

LEAST = timedelta(seconds=10)
"""Between an event and its message there is a moment in which nothing is lost."""
Outcome = Literal["lost", "requeued", "in queue", "no room", "over", "unknown", "not silent"]


class Judged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One job, and what became of the wish. `lost`: it would be published."""

    job_id: UUID
    outcome: Outcome
    stage: StageName | None = None
    status: str | None = None

    @property
    def words(self) -> str:
        """One line for a person."""
        match self.outcome:
            case "lost":
                why = f"its message for {self.stage} is lost; give --yes to publish it"
            case "requeued":
                why = f"its message for {self.stage} was published"
            case "in queue":
                why = f"its message for {self.stage} is in the queue, waiting or in hand; left to it"
            case "no room":
                why = "the queue is full; try again when it is shorter"
            case "over":
                why = f"it is {self.status} and awaits nothing; a dead letter is put back with `clipstream.dlq.replay`"
            case "unknown":
                why = "there is no such job"
            case "not silent":
                why = "it was heard of just now; try again in a moment"
        return f"{self.job_id}: {why}"


def judged(job_id: UUID, history: Sequence[Envelope], now: datetime, silence: timedelta, deadlines: Deadlines) -> Judged | Lost:
    """Whether the job awaits a message after that silence. Decides only."""
    job = fold(history)
    if job.requested is None:
        return Judged(job_id=job_id, outcome="unknown")
    stage = awaited_stage(job)
    cause = cause_for(job, stage) if stage else None
    if cause is None:
        return Judged(job_id=job_id, outcome="over", status=job.status)
    if now - history[-1].at < max(silence, LEAST):
        return Judged(job_id=job_id, outcome="not silent", stage=stage)
    return Lost.of(cause, history[-1], now, deadlines)


@dataclass(frozen=True, slots=True)
class Requeue:
    c: Connections
    settings: JanitorSettings
    now: datetime
    silence: timedelta
    stage: StageName | None
    """Only jobs that await this one."""
    act: bool

    async def of(self, jobs: AsyncIterator[UUID]) -> AsyncIterator[Judged]:
        """One after the other; what CLIPS has, it keeps to itself."""
        queue, deadlines, room = Queue(self.c.bus), deadlines_of(self.settings), await self.room()
        async for job_id in jobs:
            found = judged(job_id, await self.c.store.history(job_id), self.now, self.silence, deadlines)
            if isinstance(found, Lost):
                found = await self.published(found, queue, room)
                room -= found.outcome == "requeued"
            if self.stage in {None, found.stage}:
                yield found

    async def room(self) -> int:
        fill = await StoredMessages(self.c.bus, CLIPS).fill()
        return fill.room(ceiling(self.settings.worker_queue_high_watermark), SHARE)

    async def published(self, lost: Lost, queue: Queue, room: int) -> Judged:
        stage = STAGES[type_of(lost.cause.event)]
        outcome: Outcome = "lost"
        if await queue.holds(lost.cause):
            outcome = "in queue"
        elif room <= 0:
            outcome = "no room"
        elif self.act and self.stage in {None, stage}:
            outcome = "requeued" if await publish_lost(self.c.bus, lost) else "in queue"
        return Judged(job_id=lost.cause.job_id, outcome=outcome, stage=stage)


async def silent_jobs(store: EventStore, since: datetime) -> AsyncIterator[UUID]:
    """Open jobs that were not heard of since then, by id."""
    after = UUID(int=0)
    while jobs := await store.silent(since, after=after, limit=PAGE):
        after = jobs[-1]
        for job_id in jobs:
            yield job_id
