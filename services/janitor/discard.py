"""Deleting dead letters at the operator's wish: tell the job's history, then delete. Each step may be repeated."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from libs.common.domain.dead_letters import AT_ONCE, DiscardAnswer, Discarded, DiscardRequest, missing
from libs.common.domain.event_ids import discard_id
from libs.common.domain.events import LetterDiscarded
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.job_counts import event_written
from libs.common.runtime.logs import logger
from services.janitor.dead_letters import DeadLetter
from services.janitor.letters import Letters, Rest
from services.janitor.metrics import DISCARDED

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Discards:
    letters: Letters
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def answer(self, request: DiscardRequest) -> DiscardAnswer:
        """Delete what was asked for, or say what a confirmed request would delete. Raises Failure when a dependency is away: ask again."""
        if not request.is_sure:
            return await self.counted(request)
        gone: list[Discarded] = []
        async with aclosing(self.letters.chosen(request, up_to=request.up_to, limit=AT_ONCE)) as some:
            async for found in some:
                if isinstance(found, Rest):
                    return DiscardAnswer(discarded=gone, refused=[], next=msgspec.structs.replace(request, after=found.after))
                gone.append(await self.discard(found[0], request.by))
        unknown = [missing(request.seq)] if request.seq is not None and not gone else []
        return DiscardAnswer(discarded=gone, refused=unknown)

    async def counted(self, request: DiscardRequest) -> DiscardAnswer:
        """Of the letters that are there now; what comes later is not meant by the request that this one offers."""
        count, last = 0, 0
        async with aclosing(self.letters.chosen(request)) as some:
            async for found in some:
                if isinstance(found, Rest):
                    break
                count, last = count + 1, found[0].sequence
        confirmed = msgspec.structs.replace(request, confirm=True, up_to=last) if count else None
        return DiscardAnswer(discarded=[], refused=[], unconfirmed=count, next=confirmed)

    async def discard(self, letter: DeadLetter, by: str) -> Discarded:
        in_history = await self.record(letter, by)
        fault_point("janitor", "discarded", letter.job_id)
        await self.letters.stored.delete(letter.sequence)
        DISCARDED.inc()
        log.info("dead letter discarded", dead_letter=letter.sequence, by=by, job_id=str(letter.job_id), in_history=in_history)
        return Discarded(seq=letter.sequence, job_id=letter.job_id, in_history=in_history)

    async def record(self, letter: DeadLetter, by: str) -> bool:
        """False where there is no history to tell: of a job that is unknown or expired, or a letter that can't be read."""
        cause, stage = letter.cause, letter.failed_at
        if cause is None or stage is None:
            return False
        job = await self.letters.job_of(letter)
        if job.requested is None or job.status == "expired":
            return False
        event = LetterDiscarded(stage=stage, by=by, source=letter.source)
        discarded = cause.followed_by(event, event_id=discard_id(cause.job_id, letter.source), at=self.now())
        event_written(discarded, (await self.letters.store.append(discarded)).envelope)
        return True
