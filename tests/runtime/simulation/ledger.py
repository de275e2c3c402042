"""The promises of spec sections 2 and 3, apart from the code that keeps them: told of every effect, it notes what broke."""

from collections import defaultdict
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec

from libs.common.domain.causes import cause_for
from libs.common.domain.edits import is_edit
from libs.common.domain.events import (
    SUBJECTS,
    AsrFailed,
    BurnFailed,
    Envelope,
    JobFailed,
    JobReplayed,
    StageName,
    StageRetried,
    StageStarted,
    decode,
    type_of,
)
from libs.common.domain.failures import Code
from libs.common.domain.job import Job, answering_stage, apply
from libs.common.domain.progress import stages_of
from libs.common.domain.subjects import CLIPS, DLQ
from services.janitor.last_net import PUT_BACK
from tests.runtime.simulation.gates import ACTOR, Actor
from tests.runtime.simulation.streams import STAGES, Stored, Watcher

MAX_ATTEMPTS = 3
FATAL = Code.SOURCE_UNREADABLE
WITHIN_A_RUN = {
    "unknown": {"queued", "expired"},
    "queued": {"queued", "processing", "failed", "cancelled", "expired"},
    "processing": {"processing", "done", "failed", "cancelled", "expired"},
    "done": {"done", "expired"},
    "failed": {"failed", "expired"},
    "cancelled": {"cancelled", "expired"},
    "expired": {"expired"},
}
"""docs/job-states.md, read by hand. The last net may fail a job that never left the queue."""
TO_A_NEW_RUN = {("failed", "processing"), ("done", "processing")}
Place = tuple[UUID, StageName, int]
"""A stage of a job in a run."""


class Ledger(Watcher):
    def __init__(self) -> None:
        self.broken: list[str] = []
        self.jobs: dict[UUID, Job] = {}
        self.rows: dict[UUID, list[Envelope]] = defaultdict(list)
        self.answers: dict[Place, Envelope] = {}
        self.travelled: set[tuple[UUID, str, int]] = set()
        self.lettered: set[int] = set()
        self.started: dict[Place, set[Actor]] = defaultdict(set)
        self.most_started: dict[Place, int] = defaultdict(int)
        """A start that is handed back counts no more; who began after it may have counted it still."""
        self.fatal: set[tuple[UUID, StageName]] = set()
        self.worn_out: set[tuple[UUID, StageName]] = set()
        self.objects: set[str] = set()
        self.was_full = False
        """The work stream had no room at some time: then a stage may ack first, and the reconciler publishes what follows."""

    def promise(self, kept: object, text: str) -> None:
        if not kept:
            self.broken.append(text)

    def looked(self, actor: Actor, job_id: UUID) -> None:
        actor.seen[job_id] = self.jobs.get(job_id, Job())

    def learned(self, actor: Actor, envelope: Envelope) -> None:
        """Who opens a run takes that in without another look."""
        actor.seen[envelope.job_id] = apply(self._seen(actor, envelope.job_id), envelope)

    def _seen(self, actor: Actor, job_id: UUID) -> Job:
        """The job as this actor knows it."""
        return actor.seen.get(job_id, Job())

    def appended(self, actor: Actor, envelope: Envelope) -> None:
        """A new row, in its order."""
        job_id, event = envelope.job_id, envelope.event
        before = self.jobs.get(job_id, Job())
        after = self.jobs[job_id] = apply(before, envelope)
        self.rows[job_id].append(envelope)
        self._moved(before, after, envelope)
        if stage := answering_stage(event):
            self._answered((job_id, stage, envelope.run), envelope)
        match event:
            case StageStarted(stage=stage):
                self._started(actor, (job_id, stage, envelope.run))
            case StageRetried(stage=stage):
                self._retried(actor, event, (job_id, stage, envelope.run), counts=not before.is_over and before.run == envelope.run)
            case JobFailed() | AsrFailed() | BurnFailed():
                self._failed(actor, event, (job_id, answering_stage(event) or StageName.RESOLVER, envelope.run))
            case _:
                pass
        self._charged(after)

    def _moved(self, before: Job, after: Job, envelope: Envelope) -> None:
        step = f"{before.status} -> {after.status} by {type_of(envelope.event)}"
        if after.run == before.run:
            self.promise(after.status in WITHIN_A_RUN[before.status], f"illegal step {step}")
            self.promise(after.progress >= before.progress, f"progress fell in {step}")
        else:
            again = (
                isinstance(envelope.event, JobReplayed) and envelope.event.source in before.replays and not is_edit(envelope.event.source)
            )
            self.promise(not again, "one message opened two runs")
            legal = (
                isinstance(envelope.event, JobReplayed) and after.run == before.run + 1 and (before.status, after.status) in TO_A_NEW_RUN
            )
            self.promise(legal, f"illegal new run {step}")
        self.promise(
            (after.progress == 100) == (after.status == "done") or after.status == "expired", f"progress {after.progress} in {step}"
        )
        if after.status == "done" and before.status != "done":
            missing = named_objects(after) - self.objects
            self.promise(not missing, f"done without {missing}")

    def _answered(self, place: Place, envelope: Envelope) -> None:
        gone = self.jobs[place[0]].status == "expired"  # and with it the row that fences
        self.promise(gone or place not in self.answers, f"a second answer of {place[1]} in run {place[2]}")
        self.answers.setdefault(place, envelope)

    def _started(self, actor: Actor, place: Place) -> None:
        actor.starts += 1
        seen = self._seen(actor, place[0])
        spent = seen.attempts_of(*place[1:])
        actor.is_suspicious = place[1] in seen.at_work and not actor.was_not_heard
        self.promise(spent < MAX_ATTEMPTS or actor.was_not_heard, f"{place[1]} started again after {spent} attempts")
        self.started[place].add(actor)
        self.most_started[place] = max(self.most_started[place], len(self.started[place]))

    def _retried(self, actor: Actor, event: StageRetried, place: Place, *, counts: bool) -> None:
        actor.ends += 1
        if event.charged:
            self.promise(actor.has_erred, f"{place[1]} charged an attempt that did not end in an error: {event.message}")
        elif counts and (actor.is_excused or actor.process.is_stopping):
            self.started[place].discard(actor)

    def _failed(self, actor: Actor, event: JobFailed | AsrFailed | BurnFailed, place: Place) -> None:
        job_id, stage, _ = place
        self.promise((job_id, stage) in actor.buried, f"{stage} recorded its failure before its message was in the dead letters")
        spent = self.most_started[place] >= MAX_ATTEMPTS or (actor.message is None and (job_id, stage) in self.worn_out)
        reason = (job_id, stage) in self.fatal if event.code == FATAL else event.code == Code.RETRIES_EXHAUSTED and spent
        self.promise(reason, f"{stage} failed the job without a reason of its own: {event.code} after {len(self.started[place])} starts")

    def _charged(self, job: Job) -> None:
        for (stage, run), attempts in job.attempts.items():
            if job.id and attempts > (real := len(self.started[job.id, stage, run])):
                self.promise(kept=False, text=f"{stage} is charged {attempts} attempts in run {run}, and made {real}")

    def handled(self, actor: Actor, stage: StageName, cause: Envelope, run: int) -> None:
        """A handler is about to work, on what its worker saw when it last looked at the job."""
        job = self._seen(actor, cause.job_id)
        self.promise(job.requested and not job.is_over, f"{stage} worked on a job that is {job.status}")
        self.promise(
            job.run == run and job.answer_to(stage, run) is None, f"{stage} worked in run {run} of a job in {job.run} that had its answer"
        )
        self.promise(is_reached(job, stage), f"{stage} worked though nothing in run {job.run} says that it should")
        by_hand = actor.message is not None and "Nats-Msg-Id" not in actor.message.headers
        self.promise(by_hand or cause.run == job.run, f"{stage} worked for run {cause.run} in run {job.run}")

    def stored(self, stream: str, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """A message was published; one that its stream had already counts as well."""
        actor = ACTOR.get(None)
        try:
            cause = decode(body)
        except msgspec.DecodeError:
            return
        if stream == CLIPS:
            self.travelled.add((cause.job_id, type_of(cause.event), cause.run))
            if PUT_BACK in headers and actor is not None:
                actor.put_back.add((cause.job_id, type_of(cause.event), cause.run))
            if actor is not None:
                standing = [row.event for row in self.rows[cause.job_id]]
                self.promise(cause.event in standing, f"{actor.name} published a {subject} that does not stand in the history")
        elif stream == DLQ and actor is not None:
            actor.buried.add((cause.job_id, buried_stage(subject)))
            self.lettered.add(int(headers["Clip-Stream-Seq"]))

    def removed(self, message: Stored) -> None:
        """A message left the work stream: by then its job must have what follows from it."""
        try:
            cause = decode(message.body)
        except msgspec.DecodeError:
            return self.promise(message.sequence in self.lettered, "an unreadable message left the queue unburied")
        job = self.jobs.get(cause.job_id, Job())
        if job.requested is None:
            return self.promise(job.status == "expired" or message.sequence in self.lettered, "a message of no job left the queue unburied")
        run = self._run_of(message, cause, job)
        if job.is_over or job.run != run or (cause.job_id, type_of(cause.event), run) in ACTOR.get().put_back:
            return None
        answer = self.answers.get((cause.job_id, message.stage, run))
        self.promise(answer, f"{message.subject} left the queue with nothing to show for it")
        on_its_way = answer is None or not travels(answer) or (cause.job_id, type_of(answer.event), run) in self.travelled
        self.promise(on_its_way or self.was_full, f"{message.subject} left the queue before the next message was in it")

    def letter_removed(self, letter: Stored) -> None:
        """A dead letter was put back: by then its message must be in the queue, or not needed any more."""
        cause, source = decode(letter.body), f"{DLQ}:{letter.sequence}"
        job = self.jobs.get(cause.job_id, Job())
        run = job.replays.get(source)
        self.promise(run or job.status == "expired", "a dead letter went without a replay")
        needed = (
            run is not None and run == job.run and not job.is_over and (cause.job_id, buried_stage(letter.subject), run) not in self.answers
        )
        self.promise(
            not needed or (cause.job_id, type_of(cause.event), run) in self.travelled,
            "a dead letter went before its message was in the queue",
        )

    def given(self, message: Stored, *, is_held: bool, was_cut_off: bool) -> None:
        """The server gives a message to a worker."""
        self.promise(not is_held or was_cut_off, f"{message.subject} was given to another while its worker was well")

    def dies_of_poison(self, actor: Actor, place: tuple[UUID, StageName]) -> None:
        """Where an earlier worker was seen to have died, it takes nobody along."""
        others = [other for other in actor.process.actors if other.is_working and other is not actor]
        self.promise(not (actor.is_suspicious and others), f"{place[1]}'s poison took {len(others)} others along")

    def _run_of(self, message: Stored, cause: Envelope, job: Job) -> int | None:
        """The run that the message was for: the operator's own is for the one that its worker found; None when that was over."""
        source = f"{CLIPS}:{message.sequence}"
        actor = ACTOR.get()
        if "Nats-Msg-Id" in message.headers or source in job.replays or actor.message is None:
            return job.replays.get(source, cause.run)
        seen = self._seen(actor, cause.job_id)
        return seen.run if not seen.is_over and is_reached(seen, message.stage) else None

    def given_up(self, message: Stored) -> None:
        """The server delivers it no more."""
        with suppress(msgspec.DecodeError):
            self.worn_out.add((decode(message.body).job_id, message.stage))

    def handed_back(self) -> None:
        actor = ACTOR.get(None)
        if actor is not None:
            actor.has_handed_back = True
            if not actor.process.is_stopping:
                self.left(actor)

    def left(self, actor: Actor) -> None:
        """It is done with its message; one that is being stopped may say why before the nak or after."""
        said = actor.starts == 0 or actor.ends > 0 or actor.was_not_heard_at_its_end
        self.promise(said or not actor.has_handed_back, f"{actor.name} handed a message back and did not say that its attempt ended")


def is_reached(job: Job, stage: StageName) -> bool:
    """Whether the job needs the stage, and has what it works on."""
    return job.requested is not None and stage in stages_of(job.requested) and cause_for(job, stage) is not None


def buried_stage(subject: str) -> StageName:
    """dlq.source.ready.fast -> clipper"""
    return STAGES[".".join(subject.split(".")[1:3])]


def travels(envelope: Envelope) -> bool:
    return type_of(envelope.event) in SUBJECTS.values()


def named_objects(job: Job) -> set[str]:
    keys: list[Any] = [job.clip and job.clip.video_key, job.subtitles and job.subtitles.srt_key, job.burned and job.burned.video_key]
    return {key for key in keys if key}
