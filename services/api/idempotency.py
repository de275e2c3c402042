"""Idempotency-Key: a request that is sent again with the same key gets the first one's answer, and makes nothing anew.

The key holds the id of the job that it gives: whoever takes over from a process that died writes the same job, which is there once.
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
from libs.common.runtime.postgres import Pool, Statements
from libs.common.runtime.telemetry import logger
from services.api.caller import caller_of
from services.api.requests import Refused

log = logger(__name__)
HEADER = "idempotency-key"
SILENT = timedelta(seconds=10)
"""An answer that took longer is not waited for: its process may have died. If it did not, both write the same job."""
KEPT = timedelta(hours=24)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
Body = TypeVar("Body", bound=msgspec.Struct)
AnyRequest = Request[Any, Any, Any]


class Kept(msgspec.Struct, frozen=True):
    """An answer as it is kept."""

    status: int
    location: str
    body: msgspec.Raw


class IdempotencyKeys:
    def __init__(self, pool: Pool) -> None:
        self._sql = Statements(pool, "idempotency.sql", "services.api")

    async def once(self, request: AnyRequest, fingerprint: bytes, make: Callable[[UUID], Awaitable[Response[Body]]]) -> Response[Body]:
        """The answer that `make` gives for a job id, or the one that it gave before. `fingerprint` tells one request from another.

        Raises Failure: VALIDATION_FAILED for what is no key, IDEMPOTENCY_KEY_REUSED, CONFLICT while the first is under way; and what `make`
        raises: the key is then free again.
        """
        key = request.headers.get(HEADER)
        if key is None:
            return await make(uuid4())
        if not _KEY.fullmatch(key):
            raise Refused("Idempotency-Key", "Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces")
        caller = caller_of(request)
        owner = (caller.tenant, caller.client, key)
        job_id = await self._sql.value("claim", *owner, _digest(request, fingerprint), uuid4(), SILENT, KEPT)
        if job_id is None:
            return await self._answered(owner, _digest(request, fingerprint))
        return await self._first((*owner, job_id), make)

    async def _first(self, claim: tuple[str, str, str, UUID], make: Callable[[UUID], Awaitable[Response[Body]]]) -> Response[Body]:
        try:
            answer = await make(claim[-1])
        except Failure as failure:
            if not failure.outage:  # with the database away it may yet have been written: then the key stays taken, and its job with it
                await self._sql.rows("release", *claim)
            raise
        kept = Kept(answer.status_code or 200, answer.headers.get("location", ""), msgspec.Raw(msgspec.json.encode(answer.content)))
        await self._sql.rows("answer", *claim, msgspec.json.encode(kept))
        return answer

    async def _answered(self, owner: tuple[str, str, str], digest: bytes) -> Response[Body]:
        standing = await self._sql.row("standing", *owner)
        if standing and standing["request"] != digest:
            raise Failure(Code.IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key was used for another request")
        if standing is None or standing["answer"] is None:
            raise Failure(Code.CONFLICT, "the first request with this Idempotency-Key is still being answered", retry_after=1.0)
        kept = msgspec.json.decode(standing["answer"], type=Kept)
        headers = {"location": kept.location, "idempotency-replayed": "true"}
        return Response(cast("Body", kept.body), status_code=kept.status, headers=headers, media_type="application/json")  # encoded already

    async def sweep(self) -> None:
        """Keys that are older than a day are forgotten."""
        await self._sql.rows("sweep", KEPT)


def _digest(request: AnyRequest, fingerprint: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((request.method.encode(), request.url.path.encode(), fingerprint))).digest()
