"""Around every answer, matched or not: its correlation id, security headers, CORS, the access log and the HTTP metrics.

It wraps the framework from outside, since the framework's own middleware does not run for an unmatched route or method.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

import msgspec
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars

from libs.common.domain.failures import classify
from libs.common.runtime import tracing
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import SECONDS
from services.api.client_address import Proxies
from services.api.cors import Cors
from services.api.http_scope import header
from services.api.problems import HTTP_PROBLEMS, error_answer
from services.api.security_headers import ALWAYS, HTTPS_ONLY

log = logger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""ASGI as it is; the framework's types split it into dozens."""

HTTP_REQUESTS = Counter("clip_http_requests_total", "HTTP requests by route and status", ["method", "route", "status"])
HTTP_SECONDS = Histogram("clip_http_request_seconds", "Time of an HTTP request to its answer's end", ["method", "route"], buckets=SECONDS)

_requests, _seconds = cache(HTTP_REQUESTS.labels), cache(HTTP_SECONDS.labels)
"""Routes, methods and statuses are few, and finding a metric by them costs more than counting."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
CLIENT_GONE = 499
"""In logs and metrics only: the client left before it had its answer."""
LINGER = 11 * 1024 * 1024
"""Bytes of a refused request's body that are still read, and for how long: a client that is sending would else see a broken connection."""
LINGER_SECONDS = 2.0
ERRORS = 400
"""Where HTTP's errors begin."""
SERVER_ERRORS = 500

_ALWAYS = list(ALWAYS.items())
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
_JOB = re.compile(r"/api/jobs/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:/|\Z)")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def correlation_id_for(request_id: str) -> str:
    """The client's own x-request-id if it is safe to repeat everywhere, else a new one."""
    return request_id if _REQUEST_ID.fullmatch(request_id) else str(uuid4())


def valid_traceparent(header: str) -> str | None:
    """The W3C trace context if it is one, version 00 in form."""
    return header if _TRACEPARENT.fullmatch(header) else None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator set of them."""

    cors: Cors
    proxies: Proxies

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """By the request alone."""
        allowed = self.cors.headers(header(scope, b"origin")) if self.cors else []
        return [*allowed, HTTPS_ONLY] if self._is_https(scope) else allowed

    def _is_https(self, scope: Scope) -> bool:
        if scope.get("scheme") == "https":
            return True
        if not self.proxies:
            return False
        said, peer = header(scope, b"x-forwarded-proto"), scope.get("client")
        return bool(said) and self.proxies.is_https(peer[0] if peer else None, said)

    def preflight(self, scope: Scope) -> list[tuple[bytes, bytes]] | None:
        if scope["method"] != "OPTIONS":
            return None
        return self.cors.preflight(header(scope, b"origin"), header(scope, b"access-control-request-method"))


@dataclass(slots=True)
class Exchange:
    """One request and what became of it."""

    surroundings: Surroundings
    scope: Scope
    send: Send
    receive: Receive
    correlation_id: str
    status: int | None = None
    heard_all: bool = False
    began: float = field(default_factory=time.perf_counter)

    async def hear(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.disconnect" and self.status is None:
            self.scope["state"]["gone"] = True
        self.heard_all = not message.get("more_body", False)
        return message

    async def say(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= ERRORS:
                await self.hear_out()
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.added_headers({name for name, _ in message["headers"]})]
        await self.send(message)

    async def hear_out(self) -> None:
        """Before a refusal. A client that waits to be told to send its body (100-continue) is not."""
        names = {name for name, _ in self.scope["headers"]}
        if self.heard_all or b"expect" in names or not names & {b"content-length", b"transfer-encoding"}:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                heard = 0
                while not self.heard_all and heard < LINGER:
                    heard += len((await self.hear()).get("body", b""))

    def added_headers(self, present: set[bytes]) -> list[tuple[bytes, bytes]]:
        defaults = _ALWAYS if present.isdisjoint(ALWAYS) else [(name, value) for name, value in _ALWAYS if name not in present]
        allowance = self.scope["state"].get("allowance")
        counted = allowance.headers() if allowance else ()
        return [*defaults, (b"x-correlation-id", self.correlation_id.encode()), *counted, *self.surroundings.headers(self.scope)]

    async def allow(self, headers: list[tuple[bytes, bytes]]) -> None:
        """The answer to a preflight."""
        await self.say({"type": "http.response.start", "status": 204, "headers": headers})
        await self.say({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: Exception) -> None:
        """What even the framework did not catch."""
        log.error("unexpected error", exc_info=error)
        failure = classify(error)
        HTTP_PROBLEMS.labels(failure.code).inc()
        body = msgspec.json.encode(error_answer(failure, self.correlation_id))
        await self.say({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"application/json")]})
        await self.say({"type": "http.response.body", "body": body, "more_body": False})

    def note(self) -> None:
        """One line in the log, one count, one time."""
        route, seconds = self.scope.get("path_template") or "unmatched", time.perf_counter() - self.began
        method = method_of(self.scope)
        status = CLIENT_GONE if self.scope["state"].get("gone") or self.status is None else self.status
        _requests(method, route, status).inc()
        _seconds(method, route).observe(seconds)
        self.trace(method, route, status)
        write = log.debug if route in PROBES else log.info
        write("request", method=method, path=self.scope["path"][:256], route=route, status=status, seconds=round(seconds, 4))

    def trace(self, method: str, route: str, status: int) -> None:
        """Without the path: it is whatever the client wrote."""
        span = tracing.current()
        if span is tracing.NOTHING:
            return
        span.rename(f"{method} {route}")
        span.note({"http.route": route, "http.response.status_code": status})
        if status >= SERVER_ERRORS:
            span.fail(str(status))


def observed(app: App, surroundings: Surroundings) -> App:
    """The app, seen from outside."""

    async def observing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        exchange = Exchange(surroundings, scope, send, receive, correlation_id_for(header(scope, b"x-request-id")))
        traceparent = valid_traceparent(header(scope, b"traceparent"))
        scope["state"] = {**scope.get("state", {}), "correlation_id": exchange.correlation_id, "traceparent": traceparent}
        bind_contextvars(correlation_id=exchange.correlation_id, **_job_in(scope["path"]))  # for good: each request has its context
        with traced(scope):
            scope["state"]["traceparent"] = tracing.traceparent() or traceparent
            await _answered(app, exchange)

    return observing


def _job_in(path: str) -> dict[str, str]:
    found = _JOB.match(path)
    return {"job_id": found[1].lower()} if found else {}


def traced(scope: Scope) -> tracing.Span:
    """One request, below the client's own span if it named one. Probes come for ever and make none."""
    if scope["path"] in PROBES:
        return tracing.NOTHING
    method, traceparent = method_of(scope), scope["state"]["traceparent"]
    attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    return tracing.entry(method, "server", parent=traceparent, attributes=attributes)


def method_of(scope: Scope) -> str:
    """One of the few that there are."""
    return scope["method"] if scope["method"] in METHODS else "OTHER"


async def _answered(app: App, exchange: Exchange) -> None:
    try:
        allowed = exchange.surroundings.preflight(exchange.scope)
        await (app(exchange.scope, exchange.hear, exchange.say) if allowed is None else exchange.allow(allowed))
    except Exception as error:
        if exchange.status is not None:
            raise
        await exchange.refuse(error)
    finally:
        exchange.note()
