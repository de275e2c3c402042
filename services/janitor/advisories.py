"""The last net: messages that were delivered too often are dead-lettered, or put back, from the server's own advisories.

A stage gives up long before, so what comes here killed its workers faster than they could count, or was handed back again and again.
An advisory that is dealt with is deleted. What no advisory came for is in unadvised.py.
"""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from libs.common.domain.event_ids import answer_id
from libs.common.domain.events import AsrFailed, BurnFailed, Envelope, Failed, JobFailed, Priority, StageName, decode, encode
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import ADVISORIES, CLIPS, durable
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.jetstream import JetStreamBus, StreamFull
from libs.common.runtime.job_counts import event_written, run_ended
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import DEAD_LETTERS
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from services.janitor import metrics
from services.janitor.last_net import Drop, Fail, PutBack, Refuse, put_back_headers, times_put_back, verdict_on

log = logger(__name__)
STAGES = {durable(stage, priority): stage for stage in StageName for priority in Priority}
LARGEST = 2**63 - 1
KINDS = ("max_deliver", "terminated")


class Advisory(msgspec.Struct, frozen=True):
    """What the server says of a message that a consumer of CLIPS is done with: delivered too often, or terminated."""

    type: str
    consumer: str
    stream_seq: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    deliveries: Annotated[int, msgspec.Meta(ge=0, le=LARGEST)] = 0

    @property
    def kind(self) -> str:
        """max_deliver or terminated."""
        return self.type.rpartition(".")[2]


@contextmanager
def one_of_many(sequence: int) -> Iterator[None]:
    """What goes wrong with one must not hold up the others: it stays for the next look. An outage ends the look."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Failure) and error.outage and not isinstance(error, StreamFull):
            raise
        log.exception("not dealt with, left for the next look", sequence=sequence)


def failed(stage: StageName, failure: Failure) -> Failed:
    """The failure event of a stage; those that are optional never cost the clip."""
    match stage:
        case StageName.ASR:
            return AsrFailed(code=failure.code, message=failure.message)
        case StageName.BURNER:
            return BurnFailed(code=failure.code, message=failure.message)
        case _:
            return JobFailed(stage=stage, code=failure.code, message=failure.message)


@dataclass(frozen=True, slots=True)
class Rescue:
    store: EventStore
    bus: JetStreamBus
    max_attempts: int = 3

    @property
    def work(self) -> StoredMessages:
        return StoredMessages(self.bus, CLIPS)

    async def heed_all(self) -> None:
        notices = StoredMessages(self.bus, ADVISORIES)
        async with aclosing(notices.walk(">")) as found:
            async for notice in found:
                with one_of_many(notice.sequence):
                    await self.heed(notice)
                    await notices.delete(notice.sequence)

    async def heed(self, notice: StoredMessage) -> None:
        """Repeated after a crash, it comes to the same."""
        try:
            advisory = msgspec.json.decode(notice.body, type=Advisory)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.error("advisory can't be read", sequence=notice.sequence, error=str(error))  # noqa: TRY400  the text says it all
            return
        stage = STAGES.get(advisory.consumer)
        metrics.ADVISORIES.labels(advisory.kind if advisory.kind in KINDS else "other").inc()
        log.warning("advisory", **msgspec.structs.asdict(advisory))
        if stage and advisory.kind == "max_deliver" and (message := await self.work.get(advisory.stream_seq)):
            await self.bury(message, stage, advisory.deliveries)

    async def bury(self, message: StoredMessage, stage: StageName, deliveries: int) -> None:
        """Copy it to the dead letters, record the failure, or put it back as new; and only then take it out of the queue."""
        try:
            cause = decode(message.body)
        except msgspec.DecodeError as error:
            await self.copy(message, stage, Failure(Code.BAD_REQUEST, f"the message can't be read: {error}"), deliveries)
        else:
            await self.settle(message, cause, stage, deliveries)
        await self.work.delete(message.sequence)

    async def settle(self, message: StoredMessage, cause: Envelope, stage: StageName, deliveries: int) -> None:
        history = await self.store.history(cause.job_id)
        job = fold(history)
        cause = msgspec.structs.replace(cause, run=job.replays.get(f"{CLIPS}:{message.sequence}", cause.run))
        before = times_put_back(message.headers)
        match verdict_on(job, history, cause, stage, deliveries=deliveries, put_back=before, max_attempts=self.max_attempts):
            case Refuse(failure):
                await self.copy(message, stage, failure, deliveries)
            case Fail(failure):
                await self.copy(message, stage, failure, deliveries)
                fault_point("janitor", "rescue_buried", cause.job_id)
                answer = answer_id(cause.job_id, stage, cause.run)
                await self.record(job, cause.followed_by(failed(stage, failure), event_id=answer, at=datetime.now(UTC)))
                fault_point("janitor", "rescue_failed", cause.job_id)
            case PutBack():
                await self.bus.send(message.subject, encode(cause), put_back_headers(cause, before + 1), stream=CLIPS)
                metrics.RECONCILED.labels(stage).inc()
                log.warning("put back: handed back too often", job_id=str(cause.job_id), stage=stage, deliveries=deliveries)
            case Drop():
                log.info("delivered too often, and not needed any more", job_id=str(cause.job_id), stage=stage)

    async def copy(self, message: StoredMessage, stage: StageName, failure: Failure, deliveries: int) -> None:
        await self.bus.bury(message, stage, failure, deliveries)
        DEAD_LETTERS.labels(stage, failure.code).inc()

    async def record(self, job: Job, failure: Envelope) -> None:
        stored, _ = await self.store.append(failure)
        event_written(failure, stored)
        await run_ended(self.store, job, failure, stored)
