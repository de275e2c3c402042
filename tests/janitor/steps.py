"""What the janitor's tests do again and again, on the real servers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from libs.common.domain.events import SUBJECTS, AnyEvent, Envelope, JobFailed, StageName, encode, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import CLIPS, DLQ, canary, headers_of, subject_for
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane import Lane
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from tests.builders import envelope, ready, requested, started
from tests.fakes import MemoryDelivery
from tests.janitor.conftest import World


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def job_with(world: World, *events: AnyEvent, seconds_ago: float = 120, **fields: Any) -> list[Envelope]:
    """A stored job with these events, the last of them `seconds_ago`; nothing is published."""
    job_id = fields.pop("job_id", None) or uuid4()
    history = [envelope(event, job_id, at=ago(seconds_ago), **fields) for event in events]
    for each in history:
        await world.store.append(each)
    return history


async def dead_letter(world: World, *, stage: StageName = StageName.CLIPPER, code: Code = Code.SOURCE_UNREADABLE) -> Envelope:
    """A job that failed at its resolver or clipper and whose message lies in DLQ; its cause."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    events = [requested(expires_at=expires), *([ready()] if stage is StageName.CLIPPER else [])]
    history = await job_with(world, *events, started(stage), JobFailed(stage=stage, code=code, message="no"))
    cause = history[len(events) - 1]
    await bury(world, cause, stage)
    return cause


async def bury(world: World, cause: Envelope, stage: StageName, *, sequence: int | None = None) -> None:
    delivery = MemoryDelivery.of(cause, sequence=sequence or uuid4().int % 10**9)
    delivery.subject = SUBJECTS[stage]
    await world.bus.bury(delivery, stage, Failure(Code.SOURCE_UNREADABLE, "no"), 1)


async def publish_long_ago(world: World, cause: Envelope) -> None:
    """Publish it so that the duplicate window knows nothing of it, as of a message that is older."""
    headers = {name: value for name, value in headers_of(cause).items() if name != "Nats-Msg-Id"}
    await world.bus.js.publish(subject_for(type_of(cause.event), cause.priority), encode(cause), timeout=30, headers=headers)


async def messages(bus: JetStreamBus, stream: str, subject: str = ">") -> list[StoredMessage]:
    """But for canaries."""
    return [message async for message in StoredMessages(bus, stream).walk(subject) if message.subject != canary(stream)]


async def letters(world: World) -> list[int]:
    return [message.sequence for message in await messages(world.bus, DLQ)]


async def work_of(world: World) -> list[Envelope]:
    """What lies in CLIPS."""
    return [msgspec.json.decode(message.body, type=Envelope) for message in await messages(world.bus, CLIPS)]


async def job_of(world: World, job_id: UUID) -> Job:
    return fold(await world.store.history(job_id))


def lane(world: World, stage: StageName, priority: Any = "normal") -> Lane:
    return Lane(world.bus, stage, type(envelope(ready()).priority)(priority))


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    """The condition's first value that counts as true."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):
            await asyncio.sleep(0.02)
        return value
