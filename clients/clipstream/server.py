"""Calls to the API: one request, retried where that can help, and its answer as a value."""

import time
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from clipstream.address import Address
from clipstream.answers import error_of, value_of
from clipstream.errors import UNREACHABLE, ClipstreamError, NotFound, Unavailable
from clipstream.pacing import Pacing
from clipstream.wire import Answer, Request, Wire

Value = TypeVar("Value")
LARGEST = 64 * 1024 * 1024
"""Bytes of an answer that is read whole."""
LONGEST = 120.0
"""Seconds for all of it, however steadily it drips."""


@dataclass(frozen=True, slots=True)
class Server:
    address: Address
    wire: Wire
    pacing: Pacing

    @property
    def once(self) -> "Server":
        """The same server, asked without a second attempt."""
        return replace(self, pacing=replace(self.pacing, retries=0))

    async def get(self, path: str, kind: type[Value], **query: Any) -> Value:
        named = {name: value for name, value in query.items() if value is not None}
        return await self.call("GET", path + (f"?{urlencode(named)}" if named else ""), kind)

    async def call(
        self,
        method: str,
        path: str,
        kind: type[Value],
        *,
        body: Any = None,
        idempotency_key: str | None = None,
        repeatable: bool = True,
        patience: float | None = None,
    ) -> Value:
        """`repeatable`: sent twice it does no more than once. Raises ClipstreamError."""
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        if body is not None:
            headers["content-type"] = "application/json"
        content = b"" if body is None else msgspec.json.encode(body)
        request = self.request(method, path, headers, content, patience)
        return value_of(await self._answered(request, repeatable=repeatable), kind)

    def request(self, method: str, path: str, headers: dict[str, str], content: bytes = b"", patience: float | None = None) -> Request:
        """To the API itself: nothing else gets the key."""
        return Request(method, self.address.url + path, {**self.address.headers, **headers}, content, patience)

    async def _answered(self, request: Request, *, repeatable: bool) -> bytes:
        attempt = 0
        while True:
            try:
                return await self._asked(request)
            except ClipstreamError as error:
                pause = self.pacing.pause(error, attempt, repeatable=repeatable)
                if pause is None:
                    raise
            await self.wire.pause(pause)
            attempt += 1

    async def _asked(self, request: Request) -> bytes:
        async with self.wire.open(request) as answer:
            body = await whole(answer)
        if not is_success(answer.status):
            raise error_of(answer.status, answer.headers, body)
        return body


async def whole(answer: Answer) -> bytes:
    """The body. Raises ClipstreamError for one that has no end."""
    body, begun = bytearray(), time.monotonic()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > LARGEST:
            raise ClipstreamError("BAD_ANSWER", "the server's answer is too large")
        if time.monotonic() - begun > LONGEST:
            raise Unavailable(UNREACHABLE, "the server's answer did not come to its end", hint="Try again in a moment.", retryable=True)
    return bytes(body)


def is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004  the successes


def identifier(value: object, what: str = "job") -> str:
    """An id as it stands in a path. Raises NotFound for what is none: no server knows it."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise NotFound("NOT_FOUND", f"that is no {what}'s id", hint="Check the identifier.") from None
