"""The one loop that every stage runs: take a message, look at the job, handle it, record the answer, pass it on, ack.

What happens to a message is decided in `Work.verdict` and settled in `Work.settle`; everything else serves those two.
Every step may be repeated: after a crash between any two, redelivery alone repairs.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from structlog.contextvars import bind_contextvars, bound_contextvars

from libs.common.domain.causes import is_awaited, is_reached
from libs.common.domain.event_ids import answer_id, replay_id
from libs.common.domain.events import Answer, AnyEvent, Envelope, Failed, JobReplayed, decode, type_of
from libs.common.domain.failures import Code, Failure, classify
from libs.common.domain.job import Job, apply, fold
from libs.common.domain.retry import Advance, Defer, GiveUp, Ignore, Leave, TryLater, Verdict, never_ended, verdict_on
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import logs, metrics, tracing
from libs.common.runtime.attempt import Attempt
from libs.common.runtime.bus import Delivery
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.full_streams import LETTERS_PAUSE, pass_on
from libs.common.runtime.jetstream import StreamFull
from libs.common.runtime.job_counts import run_ended
from libs.common.runtime.liveness import Hold, Overtaken, heartbeat
from libs.common.runtime.outages import through_outages
from libs.common.runtime.trace_names import processing
from libs.common.runtime.world import Stage, World

log = logs.logger(__name__)
DEFERRALS = 3
"""Deliveries of a second message for the same work that look again soon; a later one waits as long as the first worker may take."""


async def process(stage: Stage[Any], world: World, delivery: Delivery) -> None:
    """One delivery, from its bytes to its end. What our own plumbing breaks stays unacked, and comes again after ack_wait."""
    with bound_contextvars(job_id=None, correlation_id=None, stage=stage.name, attempt=None, sequence=delivery.sequence):
        try:
            if world.quarantine.is_closed:
                return await delivery.nak(0)  # others may have room for it now
            cause = decoded(delivery)
            async with heartbeat(delivery, world.settings.queue_ack_wait_sec) as hold:
                await work_on(stage, world, delivery, hold, cause)
        except Exception:
            log.exception("message left for redelivery")


def decoded(delivery: Delivery) -> Envelope | Failure:
    """What the message says; from here on every line of the log tells whose it is."""
    try:
        cause = decode(delivery.body)
    except msgspec.DecodeError as error:
        return Failure(Code.BAD_REQUEST, f"the message can't be read: {error}")
    bind_contextvars(job_id=str(cause.job_id), correlation_id=cause.correlation_id)
    return cause


async def work_on(stage: Stage[Any], world: World, delivery: Delivery, hold: Hold, cause: Envelope | Failure) -> None:
    if isinstance(cause, Failure):
        return await refuse(stage, world, delivery, cause)
    with traced(stage, delivery, cause):
        cause = msgspec.structs.replace(cause, traceparent=cause.traceparent or tracing.traceparent())
        await Work(stage, world, delivery, hold, cause).run()


def traced(stage: Stage[Any], delivery: Delivery, cause: Envelope) -> tracing.Span:
    """The work on one delivery, in the job's trace; a job that came here without one gets its own."""
    message = processing(delivery.subject, delivery.headers.get("Nats-Msg-Id"), stage.name)
    job: tracing.Attributes = {"clip.job.id": str(cause.job_id), "clip.stage": stage.name, "clip.run": cause.run}
    counted = {"clip.deliveries": delivery.deliveries}
    return tracing.entry(f"process {delivery.subject}", "consumer", parent=cause.traceparent, attributes={**message, **job, **counted})


async def refuse(stage: Stage[Any], world: World, delivery: Delivery, failure: Failure) -> None:
    """Dead-letter a message that belongs to no job we know: there is no history to write to."""
    log.error("message refused", error=failure.message)
    await world.bus.bury(delivery, stage.name, failure, attempts=1)
    metrics.DEAD_LETTERS.labels(stage.name, failure.code).inc()
    await delivery.term(failure.code)


class Suspected(Exception):
    """The job must not be worked on beside others."""


@dataclass(slots=True)
class Work:
    """A delivery that names its job, on its way to a verdict."""

    stage: Stage[Any]
    world: World
    delivery: Delivery
    hold: Hold
    cause: Envelope
    job: Job = field(default_factory=Job)
    attempt: Attempt | None = None
    decided: Verdict | None = None
    """What the handler's work came to: an outage while that is settled must not make it work again."""
    is_alone: bool = False

    def passed(self, step: str) -> None:
        fault_point(self.stage.name, step, self.cause.job_id)

    async def run(self) -> None:
        try:
            await through_outages(self.world.health, self.once)
        except asyncio.CancelledError:
            await asyncio.shield(self.hand_back())
            raise

    async def once(self, *, last: bool) -> None:
        """Beside others; a job whose earlier worker died at it is looked at again when it has this process to itself."""
        try:
            async with self.world.quarantine.entered(alone=self.is_alone):
                self.passed("taken")
                return await self.step(last=last)
        except Suspected:
            self.is_alone = True
        await self.once(last=last)

    async def step(self, *, last: bool) -> None:
        began = time.perf_counter()
        metrics.STAGE_IN_FLIGHT.labels(self.stage.name).inc()
        try:
            verdict = await self.verdict(last=last)
            self.trace(verdict)
            await self.settle(verdict)
        except StreamFull as full:  # that of the dead letters
            return await self.hand_back(full.message, LETTERS_PAUSE)
        finally:
            metrics.STAGE_IN_FLIGHT.labels(self.stage.name).dec()
        metrics.STAGE_SECONDS.labels(self.stage.name, type(verdict).__name__).observe(time.perf_counter() - began)

    async def verdict(self, *, last: bool = False) -> Verdict:
        """Look at the job first; only what is not answered, not over and not spent is worked on."""
        self.job = fold(await self.history())
        self.passed("looked")
        if self.job.status == "expired":
            if self.attempt and self.attempt.has_begun:  # its files were deleted while we made more
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
        if self.delivery.is_by_hand and not is_reached(self.job, self.stage.name):
            return Ignore("the job does not ask for this now")
        self.decided = await self.work_verdict(last=last)
        return self.decided

    async def history(self) -> list[Envelope]:
        """Of a message that was published by hand we don't know yet to which run it belongs: no attempt begins with the first look."""
        if self.delivery.is_by_hand:
            return await self.world.store.history(self.cause.job_id)
        return await self.ours().look()

    async def work_verdict(self, *, last: bool) -> Verdict:
        """Of a job that waits for this stage: at our first look, and again after each outage."""
        attempt = self.ours()
        if attempt.is_overtaken:
            return Leave("another worker has started on it")
        if attempt.is_anothers and (rest := attempt.may_live) > 0:
            soon = min(self.world.settings.queue_ack_wait_sec, rest)
            return Defer("another worker has started on it, by another message", soon if self.delivery.deliveries <= DEFERRALS else rest)
        if attempt.start is None and attempt.spent >= self.world.settings.retry.max_attempts:
            return GiveUp(never_ended(attempt.spent))
        if attempt.is_suspect and not self.is_alone:
            raise Suspected
        return self.decided or await self.attempted(attempt, last=last)

    def ours(self) -> Attempt:
        """This delivery's attempt, with what is known of the job by now."""
        if self.attempt is None:
            of = (self.stage, self.world, self.hold, self.cause, self.delivery.sequence, self.job)
            self.attempt = Attempt(*of, has_looked=self.delivery.is_by_hand)
        self.attempt.job = self.job
        return self.attempt

    async def rerun(self) -> None:
        """The operator published this body by hand: if the job failed here, it runs again, once for each such message."""
        source = f"{CLIPS}:{self.delivery.sequence}"
        if source not in self.job.replays and self.job.failed_stage is self.stage.name:
            replayed = JobReplayed(stage=self.stage.name, by="nats pub", source=source)
            run = self.job.run + 1
            envelope = msgspec.structs.replace(self.envelope(replayed, event_id=replay_id(self.cause.job_id, run)), run=run)
            self.job = apply(self.job, (await self.world.record(envelope, expires_at=self.job.expires_at)).envelope)
            self.passed("rerun")
        self.cause = msgspec.structs.replace(self.cause, run=self.job.replays.get(source, self.job.run))

    async def attempted(self, attempt: Attempt, *, last: bool) -> Verdict:
        try:
            answer = await attempt.answer()
        except Overtaken:
            return await self.verdict()
        except Exception as error:
            failure = classify(error)
            if (failure.outage and not last) or not attempt.has_begun:
                raise failure from error
            attempt.note(failure, error)
            return verdict_on(failure, attempt.number, self.world.settings.retry, self.world.chance())
        return Advance(self.answer(answer))

    def trace(self, verdict: Verdict) -> None:
        span, attempt = tracing.current(), self.attempt.number if self.attempt else 0
        span.note({"clip.verdict": type(verdict).__name__, "clip.attempt": attempt})
        if isinstance(verdict, TryLater | GiveUp):
            span.fail(verdict.failure.code)

    async def settle(self, verdict: Verdict) -> None:
        match verdict:
            case Advance(answer):
                answer = await self.recorded(answer)
                self.passed("recorded")
                if is_awaited(self.job, answer):
                    await pass_on(self.world.bus, answer, self.delivery, self.passed)
                else:
                    await self.delivery.ack()
                    self.passed("acked")
            case TryLater(failure, delay):
                await self.ours().end(failure, delay)
                metrics.RETRIES.labels(self.stage.name, failure.code).inc()
                self.passed("retried")
                await self.delivery.nak(delay)
                self.passed("handed_back")
            case GiveUp(failure) if self.job.requested is None:
                await refuse(self.stage, self.world, self.delivery, failure)
            case GiveUp(failure):
                attempts = self.ours().number or self.ours().spent
                bind_contextvars(attempt=attempts)
                await self.world.bus.bury(self.delivery, self.stage.name, failure, attempts)
                metrics.DEAD_LETTERS.labels(self.stage.name, failure.code).inc()
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
                    await self.ours().hand_back("cut off: another worker was given the message")
            case Defer(reason, delay):
                log.info("message deferred", reason=reason, delay=delay)
                await self.delivery.nak(delay)

    async def recorded(self, answer: Envelope) -> Envelope:
        """Write the stage's answer; the one that stands, ours or a faster worker's, is what goes on."""
        if self.job.answer_to(self.stage.name, self.cause.run):
            return answer
        stored, number = await self.world.record(answer)
        log.info("stage answered", answer=type_of(stored.event), status=apply(self.job, stored).status)
        await run_ended(self.world.store, self.job, answer, stored, is_next=number == self.ours().seen + 1)
        return stored

    async def hand_back(self, why: str = "the worker was stopped", delay: float = 0.0) -> None:
        """The next worker starts over, after `delay` seconds, and no attempt is charged."""
        try:
            try:
                if self.attempt:
                    await self.attempt.hand_back(f"handed back: {why}")
            finally:
                await self.delivery.nak(delay)
        except Exception:
            log.exception("could not hand the message back as it should be; it comes again by itself")

    def envelope(self, event: AnyEvent, *, event_id: UUID | None = None) -> Envelope:
        return self.cause.followed_by(event, event_id=event_id or uuid4(), at=self.world.now())

    def answer(self, event: Answer) -> Envelope:
        """The stage's one answer in this run: its id is the fence."""
        return self.envelope(event, event_id=answer_id(self.cause.job_id, self.stage.name, self.cause.run))
