"""Reading the dead letters: those that a request means, and what is told of one."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from libs.common.domain.dead_letters import NO_LETTER, Chosen, Letter, Line, ListAnswer, ListRequest, ShowRequest
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.domain.subjects import DLQ, canary
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.stored_messages import StoredMessage, StoredMessages
from services.janitor.dead_letters import DeadLetter, line, shown

LOOK_SECONDS = 2.5
"""How long one request may look and act, so that its answer comes within the 5 s that `nats req` waits."""


@dataclass(frozen=True, slots=True)
class Rest:
    """There is more than one answer can be about: it goes on after this sequence."""

    after: int


Found = tuple[DeadLetter, StoredMessage]


@dataclass(frozen=True, slots=True)
class Letters:
    """Every verb raises Failure when a dependency is away."""

    store: EventStore
    bus: JetStreamBus

    @property
    def stored(self) -> StoredMessages:
        return StoredMessages(self.bus, DLQ)

    async def get(self, sequence: int) -> Found | None:
        message = await self.stored.get(sequence)
        return (read(message), message) if message and message.subject != canary(DLQ) else None

    async def among(
        self, means: Callable[[DeadLetter], bool], *, after: int = 0, up_to: int | None = None, limit: int | None = None
    ) -> AsyncGenerator[Found | Rest, None]:
        """Oldest first; at last a Rest where `limit` letters or the time were not enough for all."""
        until, seen = time.monotonic() + LOOK_SECONDS, 0
        async with aclosing(self.stored.walk("dlq.>", after=after)) as messages:
            async for message in messages:
                letter = read(message)
                if up_to is not None and letter.sequence > up_to:
                    return
                if time.monotonic() > until or (seen == limit and means(letter)):
                    yield Rest(letter.sequence - 1)
                    return
                if means(letter):
                    seen += 1
                    yield letter, message

    async def chosen(self, request: Chosen, *, up_to: int | None = None, limit: int | None = None) -> AsyncGenerator[Found | Rest, None]:
        """Those that the request names; none where it names one that isn't there."""
        if request.seq is None:
            async with aclosing(self.among(lambda letter: letter.is_among(request), after=request.after, up_to=up_to, limit=limit)) as some:
                async for found in some:
                    yield found
        elif found_one := await self.get(request.seq):
            yield found_one

    async def list(self, request: ListRequest) -> ListAnswer:
        def means(letter: DeadLetter) -> bool:
            return request.job_id in {None, letter.job_id} and request.stage in {None, letter.failed_at}

        lines: list[Line] = []
        async with aclosing(self.among(means, after=request.after, limit=request.limit)) as some:
            async for found in some:
                if isinstance(found, Rest):
                    following = ListRequest(limit=request.limit, job_id=request.job_id, stage=request.stage, after=found.after)
                    return ListAnswer(letters=lines, next=following)
                lines.append(await self.line(*found))
        return ListAnswer(letters=lines)

    async def show(self, request: ShowRequest) -> Letter:
        """Raises Failure(NOT_FOUND)."""
        found = await self.get(request.seq)
        if found is None:
            raise Failure(Code.NOT_FOUND, NO_LETTER)
        letter, message = found
        return shown(letter, await self.line(letter, message), message.body)

    async def line(self, letter: DeadLetter, message: StoredMessage) -> Line:
        return line(letter, await self.job_of(letter), at=message.stored_at, subject=message.subject)

    async def job_of(self, letter: DeadLetter) -> Job:
        return fold(await self.store.history(letter.job_id)) if letter.job_id else Job()


def read(message: StoredMessage) -> DeadLetter:
    return DeadLetter.read(message.sequence, message.body, message.headers)
