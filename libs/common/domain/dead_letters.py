"""What an operator and a janitor say to each other about dead letters: requests and answers of the NATS micro service `dlq`.

The API's admin routes say the same on behalf of who asks over HTTP.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from libs.common.domain.events import StageName
from libs.common.domain.failures import Code, Failure

SERVICE = "dlq"
LIST, SHOW, REPLAY, DISCARD = (f"clipstream.dlq.{verb}" for verb in ("list", "show", "replay", "discard"))
AT_ONCE = 200
"""Letters that one request is for at most, so that its answer comes within the 5 s that `nats req` waits."""
OPERATOR = "operator"
BY_LIMIT = 120
Sequence = Annotated[int, Meta(ge=1)]
By = Annotated[str, Meta(min_length=1, max_length=BY_LIMIT, description="Who wants it: plain text for the job's history.")]
After = Annotated[int, Meta(ge=0, description="Leave out the letters up to this sequence.")]


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Bodies are small JSON objects; an unknown field is refused, so that a slip of the pen never means `all`."""


class Chosen(Request, frozen=True, kw_only=True):
    """Which letters: exactly one of the first four."""

    seq: Sequence | None = None
    job_id: UUID | None = None
    stage: StageName | None = None
    all: bool = False
    by: By = OPERATOR
    after: After = 0

    def __post_init__(self) -> None:
        if sum((self.seq is not None, self.job_id is not None, self.stage is not None, self.all)) != 1:
            raise ValueError("exactly one of seq, jobId, stage and all must be given")
        if not self.by.isprintable():
            raise ValueError("by must be plain text")


class ReplayRequest(Chosen, frozen=True, kw_only=True):
    """Put letters back to work."""


class DiscardRequest(Chosen, frozen=True, kw_only=True):
    """Delete letters for good. Many at once (stage, all) only with `confirm`: without it the answer counts them, and deletes nothing."""

    confirm: bool = False
    up_to: Sequence | None = None
    """Leave out the letters beyond this sequence: those that came after the operator looked."""

    @property
    def is_sure(self) -> bool:
        return self.confirm or self.seq is not None or self.job_id is not None


class ListRequest(Request, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=AT_ONCE)] = 20
    job_id: UUID | None = None
    stage: StageName | None = None
    after: After = 0


class ShowRequest(Request, frozen=True, kw_only=True):
    seq: Sequence


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Fields that a newer janitor adds are passed over."""


class Line(Answer, frozen=True, kw_only=True):
    """A letter in one line: what failed, when, why, and whether it can run again."""

    seq: int
    at: datetime
    """When it was buried."""
    job_id: UUID | None = None
    job: str
    """The job's status now."""
    stage: str
    code: str
    message: str
    attempts: int
    subject: str
    """Of the work stream, where it failed."""
    priority: str | None = None
    correlation_id: str | None = None
    trace: str | None = None
    """The W3C traceparent that the message carried."""
    replayable: bool
    why_not: str | None = None


class ListAnswer(Answer, frozen=True, kw_only=True):
    """Oldest first. `next` is the request to send for the rest."""

    letters: list[Line]
    next: ListRequest | None = None


class Letter(Answer, frozen=True, kw_only=True):
    """One letter with all that came with it."""

    letter: Line
    headers: dict[str, str]
    body: Any
    """As it is where it is an event, else as text."""
    body_size: int
    """Bytes; the text may be cut, `nats stream get` shows all."""


class Replayed(Answer, frozen=True, kw_only=True):
    seq: int
    job_id: UUID
    stage: StageName
    run: int


class Refused(Answer, frozen=True, kw_only=True):
    """The letter was kept, or is not there."""

    seq: int
    reason: str
    is_missing: bool = False


NO_LETTER = "there is no such dead letter"


def missing(seq: int) -> Refused:
    return Refused(seq=seq, reason=NO_LETTER, is_missing=True)


class ReplayAnswer(Answer, frozen=True, kw_only=True):
    """`next` is the request to send for the rest, where one answer could not hold all."""

    replayed: list[Replayed]
    refused: list[Refused]
    next: ReplayRequest | None = None


class Discarded(Answer, frozen=True, kw_only=True):
    seq: int
    job_id: UUID | None = None
    in_history: bool
    """Whether the job's history tells of it; there is none of a job that is unknown or expired."""


class DiscardAnswer(Answer, frozen=True, kw_only=True):
    """`unconfirmed` letters would have been deleted: `next` is the request that does it, and elsewhere the one for the rest."""

    discarded: list[Discarded]
    refused: list[Refused]
    unconfirmed: int = 0
    next: DiscardRequest | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is none: why, and what to do."""

    code: Code
    message: str


class _Reply(msgspec.Struct, frozen=True):
    error: Problem | None = None


USAGE = {
    LIST: 'send {} for the oldest 20; optionally "limit" (to 200), "stage", "jobId", "after" (a sequence)',
    SHOW: 'send {"seq":12}',
    REPLAY: 'send one of {"seq":12}, {"jobId":"<uuid>"}, {"stage":"clipper"}, {"all":true}; '
    'optionally "by" (your name), "after" (a sequence)',
    DISCARD: 'send {"seq":12} or {"jobId":"<uuid>"}; {"stage":"clipper"} or {"all":true} only tells how many, '
    'and deletes them with "confirm":true; optionally "by" (your name)',
}
"""By subject; `nats micro info dlq` shows it, and so does every refusal."""

Asked = TypeVar("Asked", bound=Request)
Told = TypeVar("Told", bound=Answer)


def request_of(kind: type[Asked], body: bytes, usage: str) -> Asked:
    """Raises Failure(BAD_REQUEST) that says what is wrong and what to send instead."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(Code.BAD_REQUEST, f"{str(error)[:300]}; {usage}") from error


def problem_reply(failure: Failure) -> bytes:
    return msgspec.json.encode(_Reply(Problem(code=failure.code, message=failure.message)))


def answer_of(kind: type[Told], body: bytes) -> Told:
    """Raises the janitor's own Failure, and Failure(INTERNAL) for what is no answer."""
    try:
        error = msgspec.json.decode(body, type=_Reply).error
        if error is None:
            return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise Failure(Code.INTERNAL, "a janitor's answer can't be read") from broken
    raise Failure(error.code, error.message)


def in_lines(answer: Answer) -> bytes:
    """Its JSON with each item of a list on a line of its own: for who reads it in a terminal."""
    fields = msgspec.to_builtins(answer, builtin_types=(msgspec.Raw,))
    told = [f"{msgspec.json.encode(name).decode()}:{_item_by_item(value)}" for name, value in fields.items()]
    return ("{" + ",\n".join(told) + "}").encode()


def _item_by_item(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return msgspec.json.encode(value).decode()
    return "[\n" + ",\n".join(msgspec.json.encode(item).decode() for item in value) + "\n]"
