"""Putting dead letters back, for the NATS micro service `dlq`: record the replay, publish, delete the letter.

A crash between any two of these steps is repaired by asking again.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from libs.common.domain.dead_letters import AT_ONCE, Refused, ReplayAnswer, Replayed, ReplayRequest, missing
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import JobReplayed
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.job_counts import event_written
from libs.common.runtime.logs import logger
from services.janitor.dead_letters import DeadLetter, Refuse, Rerun, decision
from services.janitor.letters import Letters, Rest
from services.janitor.metrics import REPLAYS

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Replays:
    store: EventStore
    bus: JetStreamBus
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def letters(self) -> Letters:
        return Letters(self.store, self.bus)

    async def answer(self, request: ReplayRequest) -> ReplayAnswer:
        """Put back what was asked for. Raises Failure when a dependency is away: ask again."""
        replayed: list[Replayed] = []
        refused: list[Refused] = []
        async with aclosing(self.letters.chosen(request, limit=AT_ONCE)) as some:
            async for found in some:
                if isinstance(found, Rest):
                    return ReplayAnswer(replayed=replayed, refused=refused, next=msgspec.structs.replace(request, after=found.after))
                outcome = await self.replay(found[0], request.by)
                replayed.append(outcome) if isinstance(outcome, Replayed) else refused.append(outcome)
        if request.seq is not None and not replayed and not refused:
            refused.append(missing(request.seq))
        return ReplayAnswer(replayed=replayed, refused=refused)

    async def replay(self, letter: DeadLetter, by: str) -> Replayed | Refused:
        """One letter, from the look at its job to its deletion."""
        verdict = await self.judge(letter)
        if isinstance(verdict, Rerun) and not verdict.is_recorded:
            verdict = await self.record(verdict, letter, by)
        match verdict:
            case Refuse(reason):
                REPLAYS.labels("refused").inc()
                log.warning("replay refused", dead_letter=letter.sequence, by=by, reason=reason)
                return Refused(seq=letter.sequence, reason=reason)
            case Rerun(cause, stage):
                await self.put_back(verdict, letter)
                REPLAYS.labels("replayed").inc()
                log.info("dead letter replayed", dead_letter=letter.sequence, by=by, job_id=str(cause.job_id), stage=stage, run=cause.run)
                return Replayed(seq=letter.sequence, job_id=cause.job_id, stage=stage, run=cause.run)

    async def judge(self, letter: DeadLetter) -> Rerun | Refuse:
        return decision(letter, await self.letters.job_of(letter))

    async def record(self, rerun: Rerun, letter: DeadLetter, by: str) -> Rerun | Refuse:
        """Open the new run in the job's history, where only one letter can."""
        cause = rerun.cause
        replayed = JobReplayed(stage=rerun.stage, by=by, source=letter.source)
        envelope = cause.followed_by(replayed, event_id=replay_id(cause.job_id, cause.run), at=self.now())
        stored, _ = await self.store.append(envelope, expires_at=rerun.expires_at)
        if not (isinstance(stored.event, JobReplayed) and stored.event.source == letter.source):
            return Refuse(f"another letter opened run {cause.run} of the job first")
        event_written(envelope, stored)
        fault_point("janitor", "replay_recorded", cause.job_id)
        return rerun

    async def put_back(self, rerun: Rerun, letter: DeadLetter) -> None:
        if rerun.travels:
            await self.bus.publish(rerun.cause)
        fault_point("janitor", "replay_published", rerun.cause.job_id)
        await self.letters.stored.delete(letter.sequence)
