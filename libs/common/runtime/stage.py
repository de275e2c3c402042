"""The one loop that every stage runs: take a message, look at the job, handle it, record the answer, pass it on, ack.

What happens to a message is decided in `Work.verdict` and settled in `Work.settle`; everything else serves those two.
Every step may be repeated: after a crash between any two, redelivery alone repairs.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from structlog.contextvars import bound_contextvars

from libs.common.domain.events import (
    Answer,
    AnyEvent,
    Envelope,
    Failed,
    JobReplayed,
    StageProgress,
    StageRetried,
    StageStarted,
    answer_id,
    decode,
    replay_id,
    type_of,
)
from libs.common.domain.failures import Code, Failure, classify
from libs.common.domain.job import Job, apply, fold
from libs.common.domain.retry import Advance, GiveUp, Ignore, Leave, TryLater, Verdict, never_ended, verdict_on
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import telemetry
from libs.common.runtime.context import Context
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.jetstream import Delivery
from libs.common.runtime.liveness import Hold, Overtaken, Progress, heartbeat, while_wanted
from libs.common.runtime.outages import through_outages
from libs.common.runtime.scratch import scratch
from libs.common.runtime.world import Stage, World

log = telemetry.logger(__name__)


async def process(stage: Stage[Any], world: World, delivery: Delivery) -> None:
    """One delivery, from its bytes to its end. What our own plumbing breaks stays unacked, and comes again after ack_wait."""
    try:
        async with heartbeat(delivery, world.settings.queue_ack_wait_sec) as hold:
            await work_on(stage, world, delivery, hold)
    except Exception:
        log.exception("message left for redelivery", stage=stage.name, sequence=delivery.sequence)


async def work_on(stage: Stage[Any], world: World, delivery: Delivery, hold: Hold) -> None:
    try:
        cause = decode(delivery.body)
    except msgspec.DecodeError as error:
        return await refuse(stage, world, delivery, Failure(Code.BAD_REQUEST, f"the message can't be read: {error}"))
    with bound_contextvars(job_id=str(cause.job_id), correlation_id=cause.correlation_id):
        await Work(stage, world, delivery, hold, cause).run()


async def refuse(stage: Stage[Any], world: World, delivery: Delivery, failure: Failure) -> None:
    """Dead-letter a message that belongs to no job we know: there is no history to write to."""
    log.error("message refused", stage=stage.name, sequence=delivery.sequence, error=failure.message)
    await world.bus.bury(delivery, stage.name, failure, attempts=1)
    telemetry.DEAD_LETTERS.labels(stage.name, failure.code).inc()
    await delivery.term(failure.code)


@dataclass(slots=True)
class Work:
    """A delivery that names its job, on its way to a verdict."""

    stage: Stage[Any]
    world: World
    delivery: Delivery
    hold: Hold
    cause: Envelope
    job: Job = field(default_factory=Job)
    attempt: int = 0
    """This delivery's own attempt, once it has started; it starts once, however often an outage makes it begin again."""
    start_id: UUID | None = None
    """The event of that start."""

    def passed(self, step: str) -> None:
        fault_point(self.stage.name, step, self.cause.job_id)

    async def run(self) -> None:
        self.passed("taken")
        try:
            await through_outages(self.world.health, self.once)
        except asyncio.CancelledError:
            await asyncio.shield(self.hand_back())
            raise

    async def once(self, *, last: bool) -> None:
        began = time.perf_counter()
        telemetry.STAGE_IN_FLIGHT.labels(self.stage.name).inc()
        try:
            verdict = await self.verdict(last=last)
            await self.settle(verdict)
        finally:
            telemetry.STAGE_IN_FLIGHT.labels(self.stage.name).dec()
        telemetry.STAGE_SECONDS.labels(self.stage.name, type(verdict).__name__).observe(time.perf_counter() - began)

    async def verdict(self, *, last: bool = False) -> Verdict:
        """Look at the job first; only what is not answered, not over and not spent is worked on."""
        self.job = fold(await self.world.store.history(self.cause.job_id))
        self.passed("looked")
        if self.job.status == "expired":
            if self.attempt:  # its files were deleted while we made more
                await self.world.objects.remove_job(self.cause.job_id)
            return Ignore("job is expired")
        if self.job.requested is None:
            return GiveUp(Failure(Code.NOT_FOUND, "no such job"))
        if self.delivery.is_by_hand:
            await self.rerun()
        if answer := self.job.answer_to(self.stage.name, self.cause.run):
            return Ignore("failed already") if isinstance(answer.event, Failed) else Advance(answer)
        if self.job.is_over or self.cause.run != self.job.run:
            return Ignore(f"job is {self.job.status}")
        if self.attempt and not self.is_at_work(self.job):
            return Leave("another worker has started on it")
        if not self.attempt and (spent := self.spent()) >= self.world.settings.retry.max_attempts:
            return GiveUp(never_ended(spent))
        return await self.attempted(last=last)

    def spent(self) -> int:
        return self.job.attempts_of(self.stage.name, self.cause.run)

    async def rerun(self) -> None:
        """The operator published this body by hand: if the job failed here, it runs again, once for each such message."""
        source = f"{CLIPS}:{self.delivery.sequence}"
        if source not in self.job.replays and self.job.failed_stage is self.stage.name:
            replayed = JobReplayed(stage=self.stage.name, by="nats pub", source=source)
            run = self.job.run + 1
            envelope = msgspec.structs.replace(self.envelope(replayed, event_id=replay_id(self.cause.job_id, run)), run=run)
            self.job = apply(self.job, await self.append(envelope, expires_at=self.job.expires_at))
            self.passed("rerun")
        self.cause = msgspec.structs.replace(self.cause, run=self.job.replays.get(source, self.job.run))

    async def attempted(self, *, last: bool) -> Verdict:
        try:
            async with self.started():
                answer = await self.handled()
        except Overtaken:
            return await self.verdict()
        except Exception as error:
            failure = classify(error)
            if (failure.outage and not last) or not self.attempt:
                raise failure from error
            self.note(failure, error)
            return verdict_on(failure, self.attempt, self.world.settings.retry, self.world.chance())
        self.passed("handled")
        return Advance(self.answer(answer))

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """The job is at work while inside; one whose earlier worker died at it has this process to itself."""
        async with self.world.quarantine.entered(alone=self.stage.name in self.job.at_work and not self.attempt):
            if not self.attempt:
                await self.start()
            yield

    async def start(self) -> None:
        attempt = self.spent() + 1
        start = self.envelope(StageStarted(stage=self.stage.name, attempt=attempt, worker=self.world.settings.worker))
        await self.append(start)
        self.attempt, self.start_id = attempt, start.id
        telemetry.STAGE_WAIT_SECONDS.labels(self.stage.name).observe(max(0.0, (self.world.now() - self.cause.at).total_seconds()))
        log.info("stage started", attempt=attempt)
        self.passed("started")

    async def handled(self) -> Answer:
        settings = self.world.settings
        async with (
            while_wanted(self.is_wanted, settings.clip_max_runtime_sec),
            scratch(settings, self.cause.job_id, self.stage.name) as folder,
        ):
            context = Context(
                job_id=self.cause.job_id,
                job=self.job,
                settings=settings,
                tools=self.world.tools,
                objects=self.world.objects,
                scratch=folder,
                progress=Progress(self.report).say,
            )
            self.passed("handling")
            return await self.stage.handle(self.cause.event, context)

    async def is_wanted(self) -> bool:
        """Whether the job still waits for this very attempt; yes while nobody can say."""
        try:
            job = fold(await self.world.store.history(self.cause.job_id))
        except Failure:
            return True
        answered = job.answer_to(self.stage.name, self.cause.run)
        return not (job.is_over or answered) and job.run == self.cause.run and self.is_at_work(job)

    def is_at_work(self, job: Job) -> bool:
        """No other worker was given the message since we started on it."""
        return job.at_work.get(self.stage.name) == (self.attempt, self.start_id)

    async def report(self, progress: float) -> None:
        if self.hold.is_sure or await self.is_wanted():
            await self.append(self.envelope(StageProgress(stage=self.stage.name, progress=progress)))

    async def settle(self, verdict: Verdict) -> None:
        match verdict:
            case Advance(answer):
                answer = await self.recorded(answer)
                self.passed("recorded")
                await self.world.bus.publish(answer)
                self.passed("published")
                await self.delivery.ack()
                self.passed("acked")
            case TryLater(failure, delay):
                await self.append(self.envelope(self.retried(failure, delay)))
                telemetry.RETRIES.labels(self.stage.name, failure.code).inc()
                self.passed("retried")
                await self.delivery.nak(delay)
                self.passed("handed_back")
            case GiveUp(failure) if self.job.requested is None:
                await refuse(self.stage, self.world, self.delivery, failure)
            case GiveUp(failure):
                await self.world.bus.bury(self.delivery, self.stage.name, failure, self.attempt or self.spent())
                telemetry.DEAD_LETTERS.labels(self.stage.name, failure.code).inc()
                self.passed("buried")
                await self.recorded(self.answer(self.stage.failed(failure)))
                self.passed("failed")
                await self.delivery.term(failure.code)
                self.passed("termed")
            case Ignore(reason):
                log.info("message ignored", reason=reason)
                await self.delivery.ack()
            case Leave(reason):
                log.warning("message left alone", reason=reason)
                if self.hold.was_cut_off:
                    await self.append(self.uncharged("cut off: another worker was given the message"))

    async def recorded(self, answer: Envelope) -> Envelope:
        """Write the stage's answer; the one that stands, ours or a faster worker's, is what goes on."""
        if self.job.answer_to(self.stage.name, self.cause.run):
            return answer
        stored = await self.append(answer)
        after = apply(self.job, stored)
        log.info("stage answered", answer=type_of(stored.event), status=after.status)
        if after.is_over and not self.job.is_over and after.created_at:
            telemetry.JOBS_FINISHED.labels(after.status).inc()
            telemetry.JOB_SECONDS.labels(after.status).observe((stored.at - after.created_at).total_seconds())
        return stored

    async def hand_back(self) -> None:
        """This process must go: the next one starts over at once, and no attempt is charged."""
        try:
            if self.attempt:
                await self.append(self.uncharged("handed back: the worker was stopped"))
            await self.delivery.nak(0)
        except Exception:
            log.exception("could not hand the message back; it comes again by itself")

    def uncharged(self, reason: str) -> Envelope:
        return self.envelope(self.retried(Failure(Code.RETRYABLE_ERROR, reason, charged=False), 0))

    def retried(self, failure: Failure, delay: float) -> StageRetried:
        return StageRetried(
            stage=self.stage.name,
            attempt=self.attempt,
            code=failure.code,
            message=failure.message,
            delay=round(delay, 3),
            charged=failure.charged,
        )

    def envelope(self, event: AnyEvent, *, event_id: UUID | None = None) -> Envelope:
        return self.cause.followed_by(event, event_id=event_id or uuid4(), at=self.world.now())

    def answer(self, event: Answer) -> Envelope:
        """The stage's one answer in this run: its id is the fence."""
        return self.envelope(event, event_id=answer_id(self.cause.job_id, self.stage.name, self.cause.run))

    async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Envelope:
        stored = await self.world.store.append(envelope, expires_at=expires_at)
        telemetry.EVENTS_WRITTEN.labels(type_of(envelope.event)).inc()
        return stored

    def note(self, failure: Failure, error: Exception) -> None:
        with bound_contextvars(attempt=self.attempt):
            if failure.code is Code.INTERNAL:
                log.error("unexpected error", exc_info=error)
            else:
                log.warning("attempt failed", code=failure.code, error=failure.message)
