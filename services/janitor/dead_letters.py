"""Whether a dead letter may run again, and as which run. Decides only; replay.py acts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from libs.common.domain.events import CONSUMES, Envelope, StageName, decode
from libs.common.domain.job import Job
from libs.common.domain.subjects import DLQ

USAGE = 'send one of {"seq":12}, {"jobId":"<uuid>"}, {"stage":"clipper"}, {"all":true}; optionally "by" (your name), "after" (a sequence)'


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Which dead letters to put back: exactly one of the first four. `after` leaves out those up to that sequence."""

    seq: Annotated[int, Meta(ge=1)] | None = None
    job_id: UUID | None = None
    stage: StageName | None = None
    all: bool = False
    by: Annotated[str, Meta(min_length=1, max_length=100)] = "operator"
    after: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if sum((self.seq is not None, self.job_id is not None, self.stage is not None, self.all)) != 1:
            raise ValueError("exactly one of seq, jobId, stage and all must be given")

    def wants(self, letter: "DeadLetter") -> bool:
        return letter.job_id == self.job_id if self.job_id else self.stage in {None, letter.stage}


def request_of(body: bytes) -> ReplayRequest:
    """Raises ValueError that says what is wrong and what to send instead."""
    try:
        return msgspec.json.decode(body, type=ReplayRequest)
    except msgspec.DecodeError as error:
        raise ValueError(f"{error}; {USAGE}") from error


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of DLQ: the cause that its stage failed on, or none where the body can't be read."""

    sequence: int
    cause: Envelope | None
    problem: str = ""
    """Why there is no cause."""

    @classmethod
    def read(cls, sequence: int, body: bytes) -> "DeadLetter":
        try:
            return cls(sequence, decode(body))
        except msgspec.DecodeError as error:
            return cls(sequence, None, f"its body can't be read: {error}")

    @property
    def source(self) -> str:
        return f"{DLQ}:{self.sequence}"

    @property
    def job_id(self) -> UUID | None:
        return self.cause.job_id if self.cause else None

    @property
    def stage(self) -> StageName | None:
        """The stage that the letter's event is for."""
        return next((stage for stage, event in CONSUMES.items() if self.cause and isinstance(self.cause.event, event)), None)


@dataclass(frozen=True, slots=True)
class Rerun:
    """Let the cause, which carries its new run, travel to its stage again."""

    cause: Envelope
    stage: StageName
    expires_at: datetime | None
    is_recorded: bool = False
    """True when this letter's replay is in the job's history: an earlier request was cut short."""
    travels: bool = True
    """False when that run has come to its end, or to another one, since."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Keep the letter; the reason is for the operator."""

    reason: str


def decision(letter: DeadLetter, job: Job) -> Rerun | Refuse:
    """What to do with a letter whose job stands so."""
    cause, stage = letter.cause, letter.stage
    if cause is None:
        return Refuse(letter.problem)
    if stage is None:
        return Refuse("no stage consumes its event")
    if run := job.replays.get(letter.source):
        awaited = job.run == run and not job.is_over and not job.answer_to(stage, run)
        return Rerun(replace(cause, run=run), stage, job.expires_at, is_recorded=True, travels=awaited)
    if job.requested is None:
        return Refuse("its job is unknown or has expired")
    if job.failed_stage is not stage:
        return Refuse(_why_not(job, cause, stage))
    return Rerun(replace(cause, run=job.run + 1), stage, job.expires_at)


def _why_not(job: Job, cause: Envelope, stage: StageName) -> str:
    if job.run > cause.run:
        return f"its failure was replayed already: the job is {job.status} in run {job.run}"
    return f"the job has not failed at {stage}: it is {job.status}"
