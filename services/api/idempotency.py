"""Idempotency-Key: a request that is sent again with the same key gets the first one's answer, and makes nothing anew.

The key holds the id of what it makes: whoever takes over from a process that died finds that, or makes the same, which is there once.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import msgspec
from litestar import Request, Response

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements
from services.api.caller import caller_of
from services.api.http_scope import header
from services.api.requests import Refused

log = logger(__name__)
HEADER = b"idempotency-key"
SILENT = timedelta(seconds=10)
"""An answer that took longer is not waited for: its process may have died. If it did not, both write the same job."""
KEPT = timedelta(hours=24)
REPLAYED = {"idempotency-replayed": "true"}
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
SWEEP_SECONDS = 3600.0
Body = TypeVar("Body", bound=msgspec.Struct)
Make = Callable[[UUID], Awaitable[Response[Body]]]
Standing = Callable[[UUID], Awaitable[Response[Body] | None]]
AnyRequest = Request[Any, Any, Any]


class Kept(msgspec.Struct, frozen=True):
    """An answer as it is kept."""

    status: int
    location: str
    body: msgspec.Raw


class IdempotencyKeys:
    def __init__(self, pool: Pool) -> None:
        self._sql = Statements(pool, "idempotency.sql", "services.api")

    async def once(self, request: AnyRequest, fingerprint: bytes, make: Make[Body], standing: Standing[Body]) -> Response[Body]:
        """The answer that `make` gives for an id, or the one that it gave before. `fingerprint` tells one request from another.

        `standing` gives the answer of what was made for this id by a process that could not say so; None where nothing was.
        Raises Failure: VALIDATION_FAILED for what is no key, IDEMPOTENCY_KEY_REUSED, CONFLICT while the first is under way; and what `make`
        raises: the key is then free again.
        """
        if all(name != HEADER for name, _ in request.scope["headers"]):
            return await make(uuid4())
        key = header(request.scope, HEADER)
        if not _KEY.fullmatch(key):
            raise Refused("Idempotency-Key", "Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces")
        caller = caller_of(request)
        owner = (caller.tenant, "" if caller.tenant else caller.client, key)  # a tenant may go on with another of its API keys
        new = uuid4()
        made_for = await self._sql.value("claim", *owner, _digest(request, fingerprint), new, SILENT, KEPT)
        if made_for is None:
            return await self._answered(owner, _digest(request, fingerprint))
        answer = await _stands(standing, made_for) if made_for != new else None
        answer = answer or await self._made((*owner, made_for), make, standing)
        kept = Kept(answer.status_code or 200, answer.headers.get("location", ""), msgspec.Raw(msgspec.json.encode(answer.content)))
        await self._sql.rows("answer", *owner, made_for, msgspec.json.encode(kept))
        return answer

    async def _made(self, claim: tuple[str, str, str, UUID], make: Make[Body], standing: Standing[Body]) -> Response[Body]:
        """A refusal frees the key, unless somebody made it meanwhile. With the database away it may yet have been written."""
        try:
            return await make(claim[-1])
        except Failure as failure:
            if failure.outage:
                raise
            if answer := await _stands(standing, claim[-1]):
                return answer
            await self._sql.rows("release", *claim)
            raise

    async def _answered(self, owner: tuple[str, str, str], digest: bytes) -> Response[Body]:
        standing = await self._sql.row("standing", *owner)
        if standing and standing["request"] != digest:
            raise Failure(Code.IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key was used for another request")
        if standing is None or standing["answer"] is None:
            raise Failure(Code.CONFLICT, "the first request with this Idempotency-Key is still being answered", retry_after=1.0)
        kept = msgspec.json.decode(standing["answer"], type=Kept)
        headers = {"location": kept.location, **REPLAYED}
        return Response(cast("Body", kept.body), status_code=kept.status, headers=headers, media_type="application/json")  # encoded already

    async def swept(self) -> None:
        """For ever, hour by hour: keys that are older than a day are forgotten."""
        await for_ever("old Idempotency-Keys", lambda: self._sql.rows("sweep", KEPT), every(SWEEP_SECONDS))


async def _stands(standing: Standing[Body], made_for: UUID) -> Response[Body] | None:
    if answer := await standing(made_for):
        answer.headers.update(REPLAYED)
    return answer


def _digest(request: AnyRequest, fingerprint: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((request.method.encode(), request.scope["path"].encode(), fingerprint))).digest()
