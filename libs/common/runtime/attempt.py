"""One attempt: a start that is written once, the handler under its time limit and its look-out, and what they came to.

What becomes of it is stage.py's business.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from structlog.contextvars import bind_contextvars

from libs.common.domain.events import Answer, Envelope, StageProgress, StageRetried, StageStarted
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from libs.common.runtime import logs, metrics, tracing
from libs.common.runtime.context import Context
from libs.common.runtime.event_store import Start
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.job_counts import event_written
from libs.common.runtime.liveness import Hold, Progress, while_wanted
from libs.common.runtime.scratch import scratch
from libs.common.runtime.world import Stage, World

log = logs.logger(__name__)


@dataclass(slots=True)
class Attempt:
    """This delivery's own attempt: it starts once, however often an outage makes the work begin again."""

    stage: Stage[Any]
    world: World
    hold: Hold
    cause: Envelope
    sequence: int
    """Of the message."""
    job: Job
    """As it was last looked at."""
    number: int = 0
    start: Envelope | None = None
    """Written again, never anew, when a connection broke before we heard that it stands."""
    has_begun: bool = False
    has_looked: bool = False
    is_told: bool = False
    seen: int = 0
    """The place in the job's history up to which `job` knows it; 0 where it isn't sure."""
    ending: Envelope | None = None
    """The word that it ended without an answer; written again in the same way."""

    @property
    def spent(self) -> int:
        """Attempts that the stage has had in this run, ours included once it has begun."""
        return self.job.attempts_of(self.stage.name, self.cause.run)

    def is_at_work(self, job: Job) -> bool:
        """No other worker was given the message since we started on it."""
        start = job.at_work.get(self.stage.name)
        return start is not None and self.start is not None and start.id == self.start.id

    @property
    def is_overtaken(self) -> bool:
        return self.has_begun and self.ending is None and not self.is_at_work(self.job)

    @property
    def is_suspect(self) -> bool:
        """Nobody has heard the end of an earlier start: the job may have killed its worker."""
        return self.start is None and self.stage.name in self.job.at_work

    @property
    def is_anothers(self) -> bool:
        """Another worker has begun on the job by another message, which comes again if that worker dies."""
        start = self.job.at_work.get(self.stage.name)
        return self.start is None and start is not None and isinstance(start.event, StageStarted) and start.event.sequence != self.sequence

    @property
    def may_live(self) -> float:
        """Seconds for which the worker of the start that we found may still be at it."""
        settings, begun = self.world.settings, self.job.at_work[self.stage.name].at
        return settings.clip_max_runtime_sec + settings.queue_ack_wait_sec - (self.world.now() - begun).total_seconds()

    async def look(self) -> list[Envelope]:
        """The job's history. A job that nothing has happened to since its message was written is begun in the same round trip."""
        if self.has_looked:
            self.seen = 0
            return await self.world.store.history(self.cause.job_id)
        self.start = self.start or self._started(1)
        history, self.seen = await self.world.store.begin(Start(self.start, after=self.cause.id))
        self.has_looked = True
        self.has_begun = any(one.id == self.start.id for one in history)
        if self.has_begun:
            self.number = 1
            event_written(self.start, self.start)
        else:
            self.start = None
        return history

    async def answer(self) -> Answer:
        """The handler's. Raises Overtaken when the job no longer waits for it, and what the handler raises."""
        if not self.has_begun:
            await self._begin()
        if not self.is_told:
            self._tell()
        return await self._handled()

    def _is_settled(self, job: Job) -> bool:
        return job.is_over or job.run != self.cause.run or job.answer_to(self.stage.name, self.cause.run) is not None

    async def _begin(self) -> None:
        if self.start is None:
            self.number = self.spent + 1
            self.start = self._started(self.number)
        await self._record(self.start)
        self.has_begun = True

    def _started(self, attempt: int) -> Envelope:
        worker = self.world.settings.worker
        return self._event(StageStarted(stage=self.stage.name, attempt=attempt, worker=worker, sequence=self.sequence))

    async def _record(self, event: Envelope) -> None:
        _, number = await self.world.record(event)
        self.seen = number if number == self.seen + 1 else 0

    def _tell(self) -> None:
        self.is_told = True
        self._measure_wait()
        bind_contextvars(attempt=self.number)
        log.info("stage started")
        self._passed("started")

    def _measure_wait(self) -> None:
        """Of a first attempt: since its cause, or since the run began that let the cause travel again."""
        if self.number == 1:
            since = max(self.cause.at, self.job.run_began or self.cause.at)
            metrics.STAGE_WAIT_SECONDS.labels(self.stage.name).observe(max(0.0, (self.world.now() - since).total_seconds()))

    async def _handled(self) -> Answer:
        settings = self.world.settings
        async with (
            while_wanted(self._is_wanted, settings.clip_max_runtime_sec),
            scratch(settings, self.cause.job_id, self.stage.name) as folder,
        ):
            context = Context(
                job_id=self.cause.job_id,
                job=self.job,
                settings=settings,
                tools=self.world.tools,
                objects=self.world.objects,
                folder=folder,
                progress=Progress(self._report).say,
            )
            self._passed("handling")
            answer = await self.stage.handle(self.cause.event, context)
        self._passed("handled")
        return answer

    async def _is_wanted(self) -> bool:
        """Whether the job still waits for this very attempt; yes while nobody can say."""
        try:
            job = fold(await self.world.store.history(self.cause.job_id))
        except Failure:
            return True
        return self.is_at_work(job) and not self._is_settled(job)

    async def _report(self, progress: float) -> None:
        with tracing.quiet():
            if self.hold.is_sure or await self._is_wanted():
                await self._record(self._event(StageProgress(stage=self.stage.name, progress=progress)))

    async def end(self, failure: Failure, delay: float = 0.0) -> None:
        """Record that it ended without an answer; nothing where it never began."""
        if self.start and not self.has_looked:
            await self.look()
        if self.start is None:
            return
        if not self.has_begun:  # we have not heard whether it stands
            await self.world.record(self.start)
        self.ending = self.ending or self._event(
            StageRetried(
                stage=self.stage.name,
                attempt=self.number,
                code=failure.code,
                message=failure.message,
                delay=round(delay, 3),
                charged=failure.charged,
            )
        )
        await self.world.record(self.ending)

    async def hand_back(self, why: str) -> None:
        """Record that it ended through no fault of the job's: it is not charged."""
        await self.end(Failure(Code.RETRYABLE_ERROR, why, charged=False))

    def note(self, failure: Failure, error: Exception) -> None:
        if failure.code is Code.INTERNAL:
            log.error("unexpected error", exc_info=error)
        else:
            log.warning("attempt failed", code=failure.code, error=failure.message)

    def _event(self, event: StageStarted | StageProgress | StageRetried) -> Envelope:
        return self.cause.followed_by(event, event_id=uuid4(), at=self.world.now())

    def _passed(self, step: str) -> None:
        fault_point(self.stage.name, step, self.cause.job_id)
