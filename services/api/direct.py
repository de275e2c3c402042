"""The direct way from a request to its route's function and back, for every route that answers with JSON.

These take only what is named here and give a Struct, which is settled once; Litestar settles it with each request anew, by signature,
dependencies and kinds of response, for more than the whole of a status costs. All else is Litestar's: pages, streams, other methods,
paths that are not written as a route is, and what it refuses.
"""

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from services.api.access import App, Receive, Scope, Send
from services.api.context import AnyRequest, Api
from services.api.http_scope import header
from services.api.openapi import JSON, Described
from services.api.problems import answer_to

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, body."""

_encode = msgspec.json.Encoder().encode
_PARAMETER = re.compile(r"{(\w+)}")
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
"""Nearly every one; what else may be a host, Litestar says."""


@dataclass(frozen=True, slots=True)
class Way:
    """A route's function, and what it takes by name: of its path (`given`), and of the rest."""

    handler: HTTPRouteHandler
    template: str
    given: tuple[str, ...]
    takes: frozenset[str]
    most: int
    """Bytes of a body."""


class Node:
    """A part of the routes' paths: what may follow it, literally or as a value; the ways that end here, by method."""

    __slots__ = ("parts", "value", "ways")

    def __init__(self) -> None:
        self.parts: dict[str, Node] = {}
        self.value: Node | None = None
        self.ways: dict[str, Way] = {}


class Direct:
    """An ASGI application around the framework's."""

    def __init__(self, app: Litestar, api: Api) -> None:
        self._app, self._api = app, api
        self._root = Node()
        for route in app.routes:
            if isinstance(route, HTTPRoute):
                self._add(route)

    def _add(self, route: HTTPRoute) -> None:
        node = self._root
        for part in route.path_format.split("/")[1:]:
            if _PARAMETER.fullmatch(part):
                node.value = node = node.value or Node()
            else:
                node = node.parts.setdefault(part, Node())
        node.ways = {method: way for method, (handler, _) in route.route_handler_map.items() if (way := _way(handler, route.path_format))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._found(scope) if scope["type"] == "http" else None
        if found is None:
            await cast("App", self._app)(scope, receive, send)
            return
        way, values = found
        scope["path_template"], scope["route_handler"], scope["litestar_app"] = way.template, way.handler, self._app
        request: AnyRequest = Request(scope, receive, send)  # type: ignore[arg-type]  # ASGI as it is
        try:
            status, headers, body = _encoded(way, await self._called(way, request, values))
        except Exception as error:  # noqa: BLE001  each is an answer, as it is Litestar's way
            status, headers, body = _encoded(way, answer_to(request, error))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _found(self, scope: Scope) -> tuple[Way, list[str]] | None:
        """The way and the values in its path; None for what is Litestar's."""
        node, values = self._root, []
        for part in scope["path"].split("/")[1:]:
            following = node.parts.get(part)
            if following is None:
                if node.value is None or not part:
                    return None
                following = node.value
                values.append(part)
            node = following
        way = node.ways.get(scope["method"])
        return (way, values) if way and _HOST.fullmatch(header(scope, b"host")) else None

    async def _called(self, way: Way, request: AnyRequest, values: list[str]) -> Any:
        await self._api.door.admitted(request, way.handler)
        arguments: dict[str, Any] = dict(zip(way.given, values, strict=True))
        if "api" in way.takes:
            arguments["api"] = self._api
        if "request" in way.takes:
            arguments["request"] = request
        if "body" in way.takes:
            arguments["body"] = await _body(request.scope, request.receive, way.most)
        return await way.handler.fn(**arguments)


def _way(handler: HTTPRouteHandler, template: str) -> Way | None:
    said = handler.opt.get("described")
    if not isinstance(said, Described) or said.media_type != JSON:
        return None
    given = tuple(_PARAMETER.findall(template))
    takes = frozenset(inspect.signature(handler.fn).parameters) - set(given)
    if not takes <= {"api", "request", "body"}:
        return None
    return Way(handler, template, given, takes, handler.resolve_request_max_body_size() or sys.maxsize)


async def _body(scope: Mapping[str, Any], receive: Any, most: int) -> bytes:
    """Raises RequestEntityTooLarge before the rest of it is read."""
    if int(header(scope, b"content-length") or 0) > most:
        raise RequestEntityTooLarge
    parts, size, is_whole = [], 0, False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InternalServerException("the client left")
        parts.append(message["body"])
        size += len(message["body"])
        if size > most:
            raise RequestEntityTooLarge
        is_whole = not message["more_body"]
    return b"".join(parts)


def _encoded(way: Way, answer: Any) -> Answer:
    """A Struct, or one with a status and headers."""
    status, more, content = way.handler.status_code, _NONE, answer
    if isinstance(answer, Response):
        status, more, content = answer.status_code or status, answer.headers, answer.content
    body = _encode(content)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in more.items()]
    return status, headers, body


_NONE: Mapping[str, Any] = {}
