"""What becomes of a message that its consumer will deliver no more. Decides only; advisories.py acts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.common.domain.events import Envelope, StageName, StageRetried
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job
from libs.common.domain.subjects import headers_of, message_id

PUT_BACK = "Clip-Put-Back"
"""Header: how often the last net put this message back."""
MAX_PUT_BACKS = 3
"""What is handed back for ever (no disk has room for it, say) must end at last."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Dead-letter it, and record the stage's failure."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Refuse:
    """Dead-letter it; there is no job to fail."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class PutBack:
    """Publish it as a new message, whose deliveries count from one."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The job does not wait for it any more."""


Verdict = Fail | Refuse | PutBack | Drop


def verdict_on(
    job: Job, history: Iterable[Envelope], cause: Envelope, stage: StageName, *, deliveries: int, put_back: int, max_attempts: int
) -> Verdict:
    """`deliveries` are those of this message, `put_back` the times that it was new again before."""
    if job.requested is None:
        return Refuse(Failure(Code.NOT_FOUND, "no such job"))
    if job.is_over or job.run != cause.run or job.answer_to(stage, cause.run):
        return Drop()
    orderly = orderly_ends(history, stage, cause.run)
    if job.attempts_of(stage, cause.run) >= max_attempts or 2 * orderly < deliveries * (put_back + 1):
        return Fail(Failure(Code.RETRIES_EXHAUSTED, f"gave up after {deliveries} deliveries that never ended"))
    if put_back >= MAX_PUT_BACKS:
        return Fail(Failure(Code.RETRIES_EXHAUSTED, f"gave up after the work was put off {orderly} times and never done"))
    return PutBack()


def orderly_ends(history: Iterable[Envelope], stage: StageName, run: int) -> int:
    """Deliveries that a worker handed back, alive: at a deployment, in an outage, or since a provider said when to come back.

    Poison leaves none: what it kills writes nothing.
    """
    ends = (each.event for each in history if each.run == run and isinstance(each.event, StageRetried))
    return sum(end.stage is stage and not end.charged for end in ends)


def times_put_back(headers: Mapping[str, str]) -> int:
    told = headers.get(PUT_BACK, "")
    return int(told[:9]) if told.isdecimal() and told.isascii() else 0


def put_back_headers(cause: Envelope, times: int) -> dict[str, str]:
    """With an id of its own, or the stream would take it for the first one and drop it."""
    return {**headers_of(cause), "Nats-Msg-Id": f"{message_id(cause)}:put-back-{times}", PUT_BACK: str(times)}
