"""Routes of the operator: dead letters listed, shown, replayed, discarded. A janitor does it, asked over NATS."""

import re
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.params import FromPath, RawBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from libs.common.domain.dead_letters import (
    AT_ONCE,
    DISCARD,
    LIST,
    OPERATOR,
    REPLAY,
    SHOW,
    Answer,
    DiscardAnswer,
    Discarded,
    DiscardRequest,
    Letter,
    Line,
    ListAnswer,
    ListRequest,
    Refused,
    ReplayAnswer,
    Replayed,
    ReplayRequest,
    Request,
    ShowRequest,
    answer_of,
)
from libs.common.domain.events import StageName
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.request_reply import ask
from services.api.admin_access import operator_of
from services.api.caller import Scope, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.requests import decoded, from_query

SECONDS = 8.0
"""A janitor's answer is meant to come within 5."""
HINT = "Start a janitor (python -m services.janitor) or wait for it, then send the same request again: what was begun is safe."
Told = TypeVar("Told", bound=Answer)


class LettersQuery(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=AT_ONCE, description="Letters in one answer.")] = 20
    cursor: Annotated[int, Meta(ge=0, description="The nextCursor of the answer before.")] = 0
    stage: Annotated[StageName | None, Meta(description="Only what failed at this stage.")] = None
    job_id: Annotated[UUID | None, Meta(description="Only this job's.")] = None


class AdminAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    correlation_id: str


class LettersAnswer(AdminAnswer, frozen=True, kw_only=True):
    """Oldest first."""

    letters: list[Line]
    next_cursor: int | UnsetType = UNSET


class LetterAnswer(AdminAnswer, frozen=True, kw_only=True):
    letter: Line
    headers: dict[str, str]
    body: Any
    body_size: int


class ReplaysAnswer(AdminAnswer, frozen=True, kw_only=True):
    """`next` is the body to send for the rest, where one answer could not hold all."""

    replayed: list[Replayed]
    refused: list[Refused]
    next: ReplayRequest | UnsetType = UNSET


class DiscardedAnswer(AdminAnswer, frozen=True, kw_only=True):
    discarded: Discarded


MAY_REFUSE = (Code.RETRYABLE_ERROR,)
LISTS = Described(
    summary="List the dead letters",
    gives=LettersAnswer,
    query=LettersQuery,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, *MAY_REFUSE),
)
SHOWS = Described(summary="Show a dead letter", gives=LetterAnswer, scope=Scope.ADMIN, refuses=(Code.NOT_FOUND, *MAY_REFUSE))
REPLAYS_ONE = Described(
    summary="Put a dead letter back to work",
    gives=ReplaysAnswer,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, Code.NOT_FOUND, Code.INVALID_STATE, *MAY_REFUSE),
)
REPLAYS_MANY = Described(
    summary="Put dead letters back to work: one, a job's, a stage's, all",
    takes=ReplayRequest,
    gives=ReplaysAnswer,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, Code.BAD_REQUEST, *MAY_REFUSE),
)
DISCARDS = Described(
    summary="Delete a dead letter for good",
    gives=DiscardedAnswer,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, Code.NOT_FOUND, *MAY_REFUSE),
)


@get("/api/admin/dlq", described=LISTS)
async def list_letters(api: Given, request: AnyRequest) -> LettersAnswer:
    """Why each failed, when, and whether it can run again."""
    query = from_query(LettersQuery, request.query_params)
    wish = ListRequest(limit=query.limit, after=query.cursor, stage=query.stage, job_id=query.job_id)
    said = await _told(api, request, LIST, wish, ListAnswer)
    return LettersAnswer(correlation_id=_id(request), letters=said.letters, next_cursor=said.next.after if said.next else UNSET)


@get("/api/admin/dlq/{seq:str}", described=SHOWS)
async def show_letter(seq: FromPath[str], api: Given, request: AnyRequest) -> LetterAnswer:
    """With its headers and its body; a long body that can't be read is cut."""
    said = await _told(api, request, SHOW, ShowRequest(seq=_sequence(seq)), Letter)
    return LetterAnswer(correlation_id=_id(request), letter=said.letter, headers=said.headers, body=said.body, body_size=said.body_size)


@post("/api/admin/dlq/{seq:str}/replay", status_code=200, described=REPLAYS_ONE)
async def replay_letter(seq: FromPath[str], api: Given, request: AnyRequest) -> ReplaysAnswer:
    """Its job runs on from the stage that failed; X-Operator names you in the job's history."""
    answer = await _replayed(api, request, ReplayRequest(seq=_sequence(seq), by=operator_of(request)))
    for refused in answer.refused:
        raise _missing(refused) or Failure(Code.INVALID_STATE, refused.reason)
    return answer


@post("/api/admin/dlq/replay", status_code=200, described=REPLAYS_MANY)
async def replay_letters(body: RawBody, api: Given, request: AnyRequest) -> ReplaysAnswer:
    """The same body as the NATS request clipstream.dlq.replay; those that can't run again are kept and told."""
    wish = decoded(ReplayRequest, body)
    named = wish.by if wish.by != OPERATOR else None
    return await _replayed(api, request, replace(wish, by=operator_of(request, named)))


@delete("/api/admin/dlq/{seq:str}", status_code=200, described=DISCARDS)
async def discard_letter(seq: FromPath[str], api: Given, request: AnyRequest) -> DiscardedAnswer:
    """Its job stays as it is, and its history tells who did it; X-Operator names you there."""
    wish = DiscardRequest(seq=_sequence(seq), by=operator_of(request))
    said = await _told(api, request, DISCARD, wish, DiscardAnswer)
    for refused in said.refused:
        raise _missing(refused) or Failure(Code.INTERNAL, refused.reason)
    return DiscardedAnswer(correlation_id=_id(request), discarded=said.discarded[0])


LETTER_ROUTES = (list_letters, show_letter, replay_letters, replay_letter, discard_letter)


async def _replayed(api: Api, request: AnyRequest, wish: ReplayRequest) -> ReplaysAnswer:
    said = await _told(api, request, REPLAY, wish, ReplayAnswer)
    return ReplaysAnswer(correlation_id=_id(request), replayed=said.replayed, refused=said.refused, next=said.next or UNSET)


async def _told(api: Api, request: AnyRequest, subject: str, wish: Request, kind: type[Told]) -> Told:
    """The janitor's answer. Raises its Failure, or RETRYABLE_ERROR where there is none."""
    try:
        said = await ask(api.nats, subject, msgspec.json.encode(wish), correlation_id=_id(request), seconds=SECONDS)
    except Failure as failure:
        raise Failure(failure.code, failure.message, outage=failure.outage, hint=HINT) from failure
    return answer_of(kind, said)


def _id(request: AnyRequest) -> str:
    return correlation_of(request)


def _sequence(text: str) -> int:
    """Raises Failure(NOT_FOUND) for what is no letter's sequence."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise Failure(Code.NOT_FOUND, "there is no such dead letter")
    return int(text)


def _missing(refused: Refused) -> Failure | None:
    return Failure(Code.NOT_FOUND, refused.reason) if refused.is_missing else None
