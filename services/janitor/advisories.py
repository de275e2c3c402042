"""The last net: messages that were delivered too often are dead-lettered from the server's own advisories.

A stage gives up long before, so what comes here killed its workers faster than they could count. An advisory that is dealt with is deleted.
"""

from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from libs.common.domain.events import AsrFailed, BurnFailed, Envelope, Failed, JobFailed, Priority, StageName, answer_id, decode, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, apply, fold
from libs.common.domain.subjects import ADVISORIES, CLIPS, durable
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.service import Connections
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from libs.common.runtime.telemetry import DEAD_LETTERS, EVENTS_WRITTEN, JOBS_FINISHED, logger
from services.janitor import metrics
from services.janitor.schedule import alone, every
from services.janitor.settings import JanitorSettings

log = logger(__name__)
STAGES = {durable(stage, priority): stage for stage in StageName for priority in Priority}


class Advisory(msgspec.Struct, frozen=True):
    """What the server says of a message that a consumer of CLIPS is done with: delivered too often, or terminated."""

    type: str
    consumer: str
    stream_seq: int
    deliveries: int = 0

    @property
    def kind(self) -> str:
        """max_deliver or terminated."""
        return self.type.rpartition(".")[2]


async def heed_advisories(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time heeds what has come, for ever."""
    rescue = Rescue(c.store, c.bus)
    await every(settings.advisories_every_sec, alone(c.store, "advisories", rescue.heed_all), c.health)


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

    @property
    def work(self) -> StoredMessages:
        return StoredMessages(self.bus, CLIPS)

    async def heed_all(self) -> None:
        notices = StoredMessages(self.bus, ADVISORIES)
        async with aclosing(notices.walk(">")) as found:
            async for notice in found:
                await self.heed(notice)
                await notices.delete(notice.sequence)

    async def heed(self, notice: StoredMessage) -> None:
        """Repeated after a crash, it comes to the same."""
        try:
            advisory = msgspec.json.decode(notice.body, type=Advisory)
        except msgspec.DecodeError as error:
            log.error("advisory can't be read", sequence=notice.sequence, error=str(error))  # noqa: TRY400  the text says it all
            return
        stage = STAGES.get(advisory.consumer)
        metrics.ADVISORIES.labels(advisory.kind).inc()
        log.warning("advisory", **msgspec.structs.asdict(advisory))
        if stage and advisory.kind == "max_deliver" and (message := await self.work.get(advisory.stream_seq)):
            await self.bury(message, stage, advisory.deliveries)

    async def bury(self, message: StoredMessage, stage: StageName, deliveries: int) -> None:
        """Copy it to the dead letters, record the failure, and only then take it out of the queue."""
        try:
            cause = decode(message.body)
        except msgspec.DecodeError as error:
            await self.copy(message, stage, Failure(Code.BAD_REQUEST, f"the message can't be read: {error}"), deliveries)
        else:
            await self.fail(message, cause, stage, deliveries)
        await self.work.delete(message.sequence)

    async def fail(self, message: StoredMessage, cause: Envelope, stage: StageName, deliveries: int) -> None:
        job = fold(await self.store.history(cause.job_id))
        cause = msgspec.structs.replace(cause, run=job.replays.get(f"{CLIPS}:{message.sequence}", cause.run))
        failure = Failure(Code.RETRIES_EXHAUSTED, f"gave up after {deliveries} deliveries that never ended")
        if job.requested is None:
            await self.copy(message, stage, Failure(Code.NOT_FOUND, "no such job"), deliveries)
        elif is_awaited(job, stage, cause.run):
            await self.copy(message, stage, failure, deliveries)
            answer = answer_id(cause.job_id, stage, cause.run)
            await self.record(job, cause.followed_by(failed(stage, failure), event_id=answer, at=datetime.now(UTC)))

    async def copy(self, message: StoredMessage, stage: StageName, failure: Failure, deliveries: int) -> None:
        await self.bus.bury(message, stage, failure, deliveries)
        DEAD_LETTERS.labels(stage, failure.code).inc()

    async def record(self, job: Job, failure: Envelope) -> None:
        stored = await self.store.append(failure)
        EVENTS_WRITTEN.labels(type_of(failure.event)).inc()
        if (after := apply(job, stored)).is_over:
            JOBS_FINISHED.labels(after.status).inc()


def is_awaited(job: Job, stage: StageName, run: int) -> bool:
    """Whether the job still wants this stage's answer in this run."""
    return not job.is_over and job.run == run and job.answer_to(stage, run) is None
