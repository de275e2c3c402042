"""What the stage runner is given: a stage's declaration, and the connections and settings it runs with."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from libs.common.domain.events import Answer, AsrFailed, BurnFailed, Envelope, Event, Failed, JobFailed, StageName
from libs.common.domain.failures import Failure
from libs.common.runtime.bus import Bus
from libs.common.runtime.context import Context
from libs.common.runtime.event_store import EventStore, Stored
from libs.common.runtime.health import Health
from libs.common.runtime.job_counts import event_written
from libs.common.runtime.object_store import ObjectStore
from libs.common.runtime.quarantine import Quarantine
from libs.common.runtime.settings import CommonSettings

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[E]):
    """One step of a job: the event it waits for and the function that answers it.

    `optional` is the event that records a final failure where that must not cost the clip; without it the job fails.
    `in_hand` messages are taken for each place: more than one where some wait for what is scarcer, so that others can pass them.
    """

    name: StageName
    consumes: type[E]
    handle: Callable[[E, Context[Any, Any]], Awaitable[Answer]]
    optional: type[AsrFailed] | type[BurnFailed] | None = None
    in_hand: int = 1

    def failed(self, failure: Failure) -> Failed:
        if self.optional:
            return self.optional(code=failure.code, message=failure.message, hint=failure.own_hint)
        return JobFailed(stage=self.name, code=failure.code, message=failure.message, hint=failure.own_hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the runner itself needs; handlers get a Context instead."""

    store: EventStore
    bus: Bus
    objects: ObjectStore
    health: Health
    settings: CommonSettings
    tools: Any = None
    quarantine: Quarantine = field(default_factory=Quarantine)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    chance: Callable[[], float] = random.random

    async def record(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
        """Append the event; the one that stands is returned. It is counted if it is ours."""
        stored = await self.store.append(envelope, expires_at=expires_at)
        event_written(envelope, stored.envelope)
        return stored
