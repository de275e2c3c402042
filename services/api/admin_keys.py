"""Routes of the operator's keys: make one, list them, revoke one, rotate one. A key is shown once, in the answer that makes it."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from services.api.admin_access import operator_of
from services.api.caller import Scope, correlation_of
from services.api.context import AnyRequest, Given
from services.api.key_store import KeyWish
from services.api.keys import Key
from services.api.openapi import Described
from services.api.requests import Refused, decoded, from_query
from services.api.views import View

log = logger(__name__)
NAME_LIMIT = 40
LARGEST = 1_000_000
LONGEST_DAYS = 3650
Days = Annotated[int, Meta(ge=1, le=LONGEST_DAYS)]
Most = Annotated[int, Meta(ge=0, le=LARGEST)]
Tenant = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$(?!\n)")]


class NewKey(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, description="For people; histories name it.")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3, description="What it may do.")]
    tenant: Annotated[
        Tenant | None, Meta(description="Whose jobs it sees. Left out: its own alone; keys of one tenant see each other's.")
    ] = None
    expires_days: Annotated[Days | None, Meta(description="Days until it is good no more; left out: until it is revoked.")] = None
    rate_limit: Annotated[Most | None, Meta(description="Its own RATE_LIMIT_MAX; 0: any number.")] = None
    max_active_jobs: Annotated[Most | None, Meta(description="Its own MAX_ACTIVE_JOBS_PER_CLIENT; 0: any number.")] = None


class Rotation(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    grace_hours: Annotated[float, Meta(ge=0, le=720, description="Hours for which the old key is good still.")] = 24
    expires_days: Annotated[Days | None, Meta(description="Of the new key; left out: when the old one would have expired.")] = None


class KeysQuery(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=100, description="Keys in one answer.")] = 20
    cursor: Annotated[UUID | None, Meta(description="The nextCursor of the answer before.")] = None


class KeyView(View, frozen=True, kw_only=True):
    id: UUID
    name: str
    tenant: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | UnsetType = UNSET
    revoked_at: datetime | UnsetType = UNSET
    last_used_at: Annotated[datetime | UnsetType, Meta(description="To the minute.")] = UNSET
    rate_limit: int | UnsetType = UNSET
    max_active_jobs: int | UnsetType = UNSET


class KeyAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    key: KeyView


class NewKeyAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    api_key: Annotated[str, Meta(description="The key itself. It is not kept, and never shown again.")]
    key: KeyView


class KeysAnswer(View, frozen=True, kw_only=True):
    """Newest first, revoked ones too."""

    correlation_id: str
    keys: list[KeyView]
    next_cursor: UUID | UnsetType = UNSET


CREATES = Described(
    summary="Make an API key",
    takes=NewKey,
    gives=NewKeyAnswer,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE, Code.RETRYABLE_ERROR),
)
LISTS = Described(
    summary="List the API keys",
    gives=KeysAnswer,
    query=KeysQuery,
    scope=Scope.ADMIN,
    refuses=(Code.VALIDATION_FAILED, Code.RETRYABLE_ERROR),
)
REVOKES = Described(summary="Revoke an API key", gives=KeyAnswer, scope=Scope.ADMIN, refuses=(Code.NOT_FOUND, Code.RETRYABLE_ERROR))
ROTATES = Described(
    summary="Replace an API key by a new one",
    takes=Rotation,
    body_required=False,
    gives=NewKeyAnswer,
    scope=Scope.ADMIN,
    refuses=(
        *(Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE),
        *(Code.NOT_FOUND, Code.INVALID_STATE, Code.RETRYABLE_ERROR),
    ),
)


@post("/api/admin/keys", status_code=201, described=CREATES)
async def create_key(body: RawBody, api: Given, request: AnyRequest) -> Response[NewKeyAnswer]:
    """The answer is the only one that ever shows it."""
    wish, by = wish_in(body, api.now()), operator_of(request)
    credentials, key = await api.door.keys.create(wish)
    log.info("a key was made", key_id=str(key.id), scopes=sorted(key.scopes), by=by)
    answer = NewKeyAnswer(correlation_id=_id(request), api_key=credentials.written.reveal(), key=key_view(key))
    return Response(answer, status_code=201)


@get("/api/admin/keys", described=LISTS)
async def list_keys(api: Given, request: AnyRequest) -> KeysAnswer:
    """What is known of them; never the keys themselves, nor their hashes."""
    query = from_query(KeysQuery, request.query_params)
    found = await api.door.keys.page(query.limit + 1, query.cursor)
    shown = found[: query.limit]
    views = [key_view(key) for key in shown]
    return KeysAnswer(correlation_id=_id(request), keys=views, next_cursor=shown[-1].id if len(found) > len(shown) else UNSET)


@delete("/api/admin/keys/{key_id:str}", status_code=200, described=REVOKES)
async def revoke_key(key_id: FromPath[str], api: Given, request: AnyRequest) -> KeyAnswer:
    """It is refused within 10 s, on every replica. To revoke it again changes nothing."""
    by = operator_of(request)
    if (key := await api.door.keys.revoke(_key_id(key_id))) is None:
        raise _unknown()
    log.info("a key was revoked", key_id=str(key.id), by=by)
    return KeyAnswer(correlation_id=_id(request), key=key_view(key))


@post("/api/admin/keys/{key_id:str}/rotate", status_code=201, described=ROTATES)
async def rotate_key(key_id: FromPath[str], body: RawBody, api: Given, request: AnyRequest) -> Response[NewKeyAnswer]:
    """A new key for the same tenant, scopes and limits. The old one goes on for the hours of grace, and is not rotated again."""
    wish, by = decoded(Rotation, body or b"{}"), operator_of(request)
    old_until = api.now() + timedelta(hours=wish.grace_hours)
    made = await api.door.keys.rotate(_key_id(key_id), old_until=old_until, new_until=_in_days(api.now(), wish.expires_days))
    if made is None:
        raise _not_rotated(await api.door.keys.find(str(_key_id(key_id))))
    credentials, key = made
    log.info("a key was rotated", old_key_id=key_id, key_id=str(key.id), by=by)
    answer = NewKeyAnswer(correlation_id=_id(request), api_key=credentials.written.reveal(), key=key_view(key))
    return Response(answer, status_code=201)


KEY_ROUTES = (create_key, list_keys, revoke_key, rotate_key)


def wish_in(body: bytes, now: datetime) -> KeyWish:
    """Raises Refused."""
    wanted = decoded(NewKey, body)
    if not wanted.name.isprintable() or not wanted.name.strip():
        raise Refused("name", "name must be plain text on one line")
    return KeyWish(
        name=wanted.name.strip(),
        scopes=frozenset(wanted.scopes),
        tenant=wanted.tenant,
        expires_at=_in_days(now, wanted.expires_days),
        rate_limit=wanted.rate_limit,
        max_active_jobs=wanted.max_active_jobs,
    )


def key_view(key: Key) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        tenant=key.tenant,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at or UNSET,
        revoked_at=key.revoked_at or UNSET,
        last_used_at=key.last_used_at or UNSET,
        rate_limit=UNSET if key.rate_limit is None else key.rate_limit,
        max_active_jobs=UNSET if key.max_active_jobs is None else key.max_active_jobs,
    )


def _in_days(now: datetime, days: int | None) -> datetime | None:
    return None if days is None else now + timedelta(days=days)


def _key_id(text: str) -> UUID:
    try:
        key_id = UUID(text)
    except ValueError:
        raise _unknown() from None
    if str(key_id) != text.lower():
        raise _unknown()
    return key_id


def _unknown() -> Failure:
    return Failure(Code.NOT_FOUND, "there is no such key")


def _not_rotated(key: Key | None) -> Failure:
    if key is None:
        return _unknown()
    if key.replaced_by:
        return Failure(Code.INVALID_STATE, "the key was rotated before", hint=f"Rotate its successor, {key.replaced_by}.")
    return Failure(Code.INVALID_STATE, "the key is revoked or expired", hint="Make a new key.")


def _id(request: AnyRequest) -> str:
    return correlation_of(request)
