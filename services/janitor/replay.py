"""Putting dead letters back, for the NATS micro service `dlq`: record the replay, publish, delete the letter.

A crash between any two of these steps is repaired by asking again.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from libs.common.domain.events import JobReplayed, StageName, replay_id, type_of
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import DLQ
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.stored_messages import StoredMessages
from libs.common.runtime.telemetry import EVENTS_WRITTEN, logger
from services.janitor.dead_letters import DeadLetter, Refuse, ReplayRequest, Rerun, decision
from services.janitor.metrics import REPLAYS

log = logger(__name__)
AT_ONCE = 200
"""Letters that one request is for at most, so that its answer comes within the 5 s that `nats req` waits."""


class Replayed(msgspec.Struct, frozen=True, rename="camel"):
    seq: int
    job_id: UUID
    stage: StageName
    run: int


class Refused(msgspec.Struct, frozen=True):
    """The letter was kept."""

    seq: int
    reason: str


class ReplayAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`next` is the request to send for the rest, where one answer could not hold all."""

    replayed: list[Replayed]
    refused: list[Refused]
    next: ReplayRequest | None = None


@dataclass(frozen=True, slots=True)
class Replays:
    store: EventStore
    bus: JetStreamBus
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def letters(self) -> StoredMessages:
        return StoredMessages(self.bus, DLQ)

    async def answer(self, request: ReplayRequest) -> ReplayAnswer:
        """Put back what was asked for. Raises Failure when a dependency is away: ask again."""
        replayed: list[Replayed] = []
        refused: list[Refused] = []
        async with aclosing(self.wanted(request)) as letters:
            async for letter in letters:
                if len(replayed) + len(refused) == AT_ONCE:
                    return ReplayAnswer(replayed, refused, msgspec.structs.replace(request, after=letter.sequence - 1))
                outcome = await self.replay(letter, request.by)
                replayed.append(outcome) if isinstance(outcome, Replayed) else refused.append(outcome)
        return ReplayAnswer(replayed, refused)

    async def wanted(self, request: ReplayRequest) -> AsyncGenerator[DeadLetter, None]:
        if request.seq is not None:
            message = await self.letters.get(request.seq)
            yield DeadLetter.read(request.seq, message.body) if message else DeadLetter(request.seq, None, "there is no such dead letter")
            return
        async with aclosing(self.letters.walk("dlq.>", after=request.after)) as messages:
            async for message in messages:
                if request.wants(letter := DeadLetter.read(message.sequence, message.body)):
                    yield letter

    async def replay(self, letter: DeadLetter, by: str) -> Replayed | Refused:
        """One letter, from the look at its job to its deletion."""
        verdict = await self.judge(letter)
        if isinstance(verdict, Rerun) and not verdict.is_recorded:
            verdict = await self.record(verdict, letter, by)
        match verdict:
            case Refuse(reason):
                REPLAYS.labels("refused").inc()
                log.warning("replay refused", dead_letter=letter.sequence, by=by, reason=reason)
                return Refused(letter.sequence, reason)
            case Rerun(cause, stage):
                await self.put_back(verdict, letter)
                REPLAYS.labels("replayed").inc()
                log.info("dead letter replayed", dead_letter=letter.sequence, by=by, job_id=str(cause.job_id), stage=stage, run=cause.run)
                return Replayed(letter.sequence, cause.job_id, stage, cause.run)

    async def judge(self, letter: DeadLetter) -> Rerun | Refuse:
        return decision(letter, fold(await self.store.history(letter.cause.job_id)) if letter.cause else Job())

    async def record(self, rerun: Rerun, letter: DeadLetter, by: str) -> Rerun | Refuse:
        """Open the new run in the job's history, where only one letter can."""
        cause = rerun.cause
        replayed = JobReplayed(stage=rerun.stage, by=by, source=letter.source)
        envelope = cause.followed_by(replayed, event_id=replay_id(cause.job_id, cause.run), at=self.now())
        stored = await self.store.append(envelope, expires_at=rerun.expires_at)
        if not (isinstance(stored.event, JobReplayed) and stored.event.source == letter.source):
            return Refuse(f"another letter opened run {cause.run} of the job first")
        EVENTS_WRITTEN.labels(type_of(replayed)).inc()
        return rerun

    async def put_back(self, rerun: Rerun, letter: DeadLetter) -> None:
        if rerun.travels:
            await self.bus.publish(rerun.cause)
        await self.letters.delete(letter.sequence)
