"""What a dead letter says, and whether it may run again, and as which run. Decides only; replay.py and discard.py act."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from libs.common.domain.dead_letters import Chosen, Letter, Line
from libs.common.domain.events import CONSUMES, Envelope, StageName, decode
from libs.common.domain.job import Job
from libs.common.domain.subjects import DLQ

TEXT_LIMIT, NAME_LIMIT = 500, 128
BODY_LIMIT = 64 * 1024
HEADERS_LIMIT = 64
"""What an answer shows of a letter; the stream has all of it."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of DLQ: the cause that its stage failed on, or none where the body can't be read."""

    sequence: int
    cause: Envelope | None
    problem: str = ""
    """Why there is no cause."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, sequence: int, body: bytes, headers: Mapping[str, str] | None = None) -> "DeadLetter":
        try:
            return cls(sequence, decode(body), headers=headers or {})
        except msgspec.DecodeError as error:
            return cls(sequence, None, f"its body can't be read: {error}", headers or {})

    @property
    def source(self) -> str:
        return f"{DLQ}:{self.sequence}"

    @property
    def job_id(self) -> UUID | None:
        """The cause's, or else what the message's header said."""
        return self.cause.job_id if self.cause else _uuid(self.headers.get("Clip-Job-Id", ""))

    @property
    def stage(self) -> StageName | None:
        """The stage that the letter's event is for."""
        return next((stage for stage, event in CONSUMES.items() if self.cause and isinstance(self.cause.event, event)), None)

    @property
    def failed_at(self) -> StageName | None:
        """The stage that buried it, also where it can't be read."""
        told = self.headers.get("Clip-Stage", "")
        return self.stage or (StageName(told) if told in set(StageName) else None)

    def is_among(self, chosen: Chosen) -> bool:
        """Whether a request for a job, a stage or all means this letter."""
        return self.job_id == chosen.job_id if chosen.job_id else chosen.stage in {None, self.failed_at}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def line(letter: DeadLetter, job: Job, *, at: datetime, subject: str) -> Line:
    """The letter as lists show it; `subject` is its own, in DLQ."""
    verdict = decision(letter, job)
    told = {name: text(letter.headers.get(f"Clip-{name}", "")) for name in ("Error-Code", "Error-Message", "Attempts", "Stage")}
    cause = letter.cause
    return Line(
        seq=letter.sequence,
        at=at.replace(microsecond=0),
        job_id=letter.job_id,
        job=job.status,
        stage=letter.failed_at or told["Stage"][:NAME_LIMIT],
        code=told["Error-Code"][:NAME_LIMIT],
        message=told["Error-Message"],
        attempts=int(told["Attempts"][:9]) if told["Attempts"].isdecimal() else 0,
        subject=text(subject.removeprefix("dlq."), NAME_LIMIT),
        priority=cause.priority if cause else None,
        correlation_id=text(cause.correlation_id, NAME_LIMIT) if cause else None,
        trace=text(letter.headers.get("traceparent", ""), NAME_LIMIT) or None,
        replayable=isinstance(verdict, Rerun),
        why_not=text(verdict.reason) if isinstance(verdict, Refuse) else None,
    )


def text(said: str, limit: int = TEXT_LIMIT) -> str:
    """In one line that no terminal takes for an order."""
    return "".join(each if each.isprintable() else " " for each in said[:limit])


def shown(letter: DeadLetter, told: Line, body: bytes) -> Letter:
    """All of it that fits into an answer."""
    readable = letter.cause is not None and len(body) <= BODY_LIMIT
    headers = {text(name): text(value) for name, value in list(letter.headers.items())[:HEADERS_LIMIT]}
    raw = body[:BODY_LIMIT].decode("utf-8", "replace")
    return Letter(letter=told, headers=headers, body=msgspec.json.decode(body) if readable else raw, body_size=len(body))


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
