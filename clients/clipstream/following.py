"""A job's events as they happen: streamed, resumed where the stream breaks, asked for where nothing streams; up to the job's end."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from clipstream.answers import error_of, value_of
from clipstream.errors import ClipstreamError, JobCancelled, JobFailed, RateLimited, Unavailable, WaitTimeout
from clipstream.frames import Frame, Frames
from clipstream.models import Event, Job, JobMoment, Model
from clipstream.server import Server, identifier, whole

Clock = Callable[[], float]
OPENING, SILENCE = 5.0, 20.0
"""Seconds without a byte: a stream says something at once, and every 15 s. What comes later was held up by something in between."""
OUTAGE = 120.0
"""Seconds for which a server may be away while it is followed: longer than a restart."""
POLLS = (0.3, 2.0)
"""Seconds between questions where nothing streams: at first, and at most."""
LAST_LOOK = 1.0
"""Seconds for a last question once the time is up."""

NOTHING_FOLLOWS = 204


class _Told(Model, frozen=True, kw_only=True):
    """An event as GET /api/jobs/{id} lists it."""

    ts: datetime
    type: str
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class JobAnswer(Model, frozen=True, kw_only=True):
    job: Job
    events: tuple[_Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock; None: never."""

    at: float | None = None
    clock: Clock = time.monotonic

    @property
    def left(self) -> float:
        return float("inf") if self.at is None else self.at - self.clock()

    @property
    def is_past(self) -> bool:
        return self.left <= 0


NEVER = Deadline()


@dataclass(slots=True)
class _Following:
    """One job's place in its events. What was told is not told again, whichever way it comes."""

    server: Server
    job_id: str
    place: int
    deadline: Deadline
    told: set[tuple[datetime, str]]
    contact: float
    streams: bool = True
    opened: bool = False
    ended: bool = False
    idle: int = 0

    async def events(self) -> AsyncGenerator[Event, None]:
        while not self.ended and not self.deadline.is_past:
            try:
                async with aclosing(self._streamed() if self.streams else self._asked()) as found:
                    async for event in found:
                        if self._is_news(event):
                            yield event
            except (Unavailable, RateLimited) as error:
                await self._outlast(error)

    async def _streamed(self) -> AsyncGenerator[Event, None]:
        """One connection's events. A stream that does not open is not tried again."""
        self.streams, patience, begun = False, self._patience(), self.deadline.clock()
        headers = {"accept": "text/event-stream"} | ({"last-event-id": str(self.place)} if self.place else {})
        request = self.server.request("GET", f"/api/jobs/{self.job_id}/events", headers, patience=patience)
        over = False
        async with self.server.wire.open(request) as answer:
            self.ended = answer.status == NOTHING_FOLLOWS
            if answer.status not in {200, NOTHING_FOLLOWS}:
                raise error_of(answer.status, answer.headers, await whole(answer))
            if self.ended or not answer.headers.get("content-type", "").startswith("text/event-stream"):
                return
            frames = Frames()
            async for chunk in answer.chunks():
                self._heard()
                for frame in frames.fed(chunk):
                    event = _event(frame)
                    self.place, over = event.id or self.place, event.job.is_over
                    yield event
                if self._would_overstay(patience, begun):
                    return
        if self.streams and not over:
            await self._pause(self.server.pacing.back_off(1))

    async def _asked(self) -> AsyncGenerator[Event, None]:
        """The job's last events; each says how the job stands now."""
        answer = await self.server.once.call("GET", f"/api/jobs/{self.job_id}", JobAnswer, patience=self._patience())
        self.contact = self.deadline.clock()
        moment = JobMoment(status=answer.job.status, stage=answer.job.stage, progress=answer.job.progress)
        for event in answer.events:
            yield Event(ts=event.ts, type=event.type, data=event.data, job=moment)
        self.ended = answer.job.is_over
        if not self.ended:
            self.idle += 1
            await self._pause(min(POLLS[0] * 1.3 ** min(self.idle, 20), POLLS[1]))

    def _is_news(self, event: Event) -> bool:
        mark = (event.ts, event.type)
        if mark in self.told:
            return False
        self.told.add(mark)
        self.idle, self.ended = 0, self.ended or event.job.status == "expired"
        return True

    def _heard(self) -> None:
        self.streams, self.opened, self.contact = True, True, self.deadline.clock()

    def _patience(self) -> float:
        usual = SILENCE if self.opened else OPENING
        return max(0.05, min(usual, self.deadline.left))

    def _would_overstay(self, patience: float, begun: float) -> bool:
        """The next silence could outlast the deadline: better come again with less patience, but not at each event."""
        return self.deadline.left < patience - 1.0 and self.deadline.clock() - begun > min(2.0, patience / 2)

    async def _outlast(self, error: ClipstreamError) -> None:
        """Raises it when the server has been away for too long."""
        if not error.retryable or self.deadline.clock() - self.contact > OUTAGE:
            raise error
        await self._pause(max(error.retry_after or 0.0, self.server.pacing.back_off(1)))

    async def _pause(self, seconds: float) -> None:
        await self.server.wire.pause(max(0.0, min(seconds, self.deadline.left)))


def follow(server: Server, job_id: str, after: int | None = None, deadline: Deadline = NEVER) -> AsyncGenerator[Event, None]:
    """The job's events behind `after`, to its end, or to the deadline. Raises ClipstreamError."""
    return _Following(server, identifier(job_id), after or 0, deadline, set(), deadline.clock()).events()


async def job(server: Server, job_id: str) -> Job:
    answer = await server.get(f"/api/jobs/{identifier(job_id)}", JobAnswer)
    return answer.job


async def wait(server: Server, job_id: str, timeout: float | None, on_event: Callable[[Event], None] | None) -> Job:  # noqa: ASYNC109  the blocking client has no cancel scopes
    """The job when it is done. One that runs again while we look is waited for again."""
    deadline = Deadline(None if timeout is None else time.monotonic() + timeout)
    after = 0
    while True:
        async with aclosing(follow(server, job_id, after, deadline)) as events:
            async for event in events:
                after = event.id or after
                if on_event:
                    on_event(event)
        try:
            found = await _looked(server, job_id, deadline)
        except Unavailable as error:
            if timeout is None or not deadline.is_past:
                raise
            raise WaitTimeout(job_id, timeout) from error
        if found.is_over:
            return _done(found)
        if timeout is not None and deadline.is_past:
            raise WaitTimeout(job_id, timeout)


async def _looked(server: Server, job_id: str, deadline: Deadline) -> Job:
    """How the job stands; after the deadline there is one look, and a short one."""
    if not deadline.is_past:
        return await job(server, job_id)
    answer = await server.once.call("GET", f"/api/jobs/{job_id}", JobAnswer, patience=LAST_LOOK)
    return answer.job


def _done(job: Job) -> Job:
    if job.status == "failed":
        raise JobFailed(job)
    if job.status == "cancelled":
        raise JobCancelled(job)
    return job


def _event(frame: Frame) -> Event:
    """Raises ClipstreamError for what is no event."""
    event = value_of(frame.data, Event)
    return replace(event, id=int(frame.id)) if frame.id.isascii() and frame.id.isdigit() else event
