"""The OpenAPI 3.1 document, from what the routes say of themselves and msgspec's own JSON Schema of their Structs.

Litestar's generator is not used: it loses limits that the Structs state, adds answers we never give, and can't describe a streamed body.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from libs.common.domain.failures import HINTS, Code, Failure
from services.api.caller import Scope
from services.api.problems import STATUS, ErrorAnswer, error_answer, headers_for

VERSION = "1.0.0"
JSON = "application/json"
EXAMPLE_ID = "0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a route says of itself: `@get(…, described=Described(…))`.

    `also` are statuses beside 2xx that carry `gives`, `takes_text` media types of files that may be sent instead of `takes`.
    """

    summary: str
    gives: Any
    takes: type[msgspec.Struct] | None = None
    takes_text: tuple[str, ...] = ()
    media_type: str = JSON
    multipart: bool = False
    location: bool = False
    also: tuple[int, ...] = ()
    query: type[msgspec.Struct] | None = None
    scope: Scope | None = None
    """What a key needs; None for what is open to all."""
    refuses: tuple[Code, ...] = ()


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Of all routes that describe themselves."""
    operations = list(_operations(routes))
    kinds = [kind for _, _, _, said in operations for kind in (said.takes, said.gives) if kind]
    schemas, components = msgspec.json.schema_components([*kinds, ErrorAnswer], ref_template="#/components/schemas/{name}")
    components["Code"]["description"] = "\n".join(f"{code} ({STATUS[code]}): {hint}" for code, hint in HINTS.items())
    schema_of = dict(zip([repr(kind) for kind in (*kinds, ErrorAnswer)], schemas, strict=True))
    for form in [said.takes.__name__ for *_, said in operations if said.takes and said.multipart]:
        _add_file(components[form])
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for path, method, handler, said in operations:
        paths[path][method] = _operation(path, handler, said, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clipstream", "version": VERSION, "description": "Cuts a segment out of a video, with subtitles when asked."},
        "servers": [{"url": "/"}],
        "paths": dict(paths),
        "components": {"schemas": components, "headers": HEADERS, "parameters": PARAMETERS, "securitySchemes": KEYS},
    }


def _operations(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, HTTPRouteHandler, Described]]:
    for route in sorted((route for route in routes if isinstance(route, HTTPRoute)), key=lambda route: route.path):
        for method, (handler, _) in route.route_handler_map.items():
            if said := handler.opt.get("described"):
                yield route.path_format, method.lower(), handler, said


def _operation(path: str, handler: HTTPRouteHandler, said: Described, schema_of: dict[str, Any]) -> dict[str, Any]:
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)]
    shared = [{"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS]
    operation: dict[str, Any] = {
        "operationId": _camel(handler.handler_name),
        "summary": said.summary,
        "description": inspect.getdoc(handler.fn) or said.summary,
        "tags": ["clips" if path.startswith("/api/") else "operations"],
        "parameters": [*in_path, *(_in_query(said.query) if said.query else ()), *shared],
        "responses": {**_successes(handler, said, schema_of), **_refusals((*said.refuses, Code.INTERNAL), schema_of)},
    }
    if said.scope:
        operation["security"] = [{name: [said.scope]} for name in KEYS]
    if said.scope is Scope.ADMIN:
        operation["tags"] = ["admin"]
    if said.takes is not None:
        operation["requestBody"] = _request_body(said, schema_of[repr(said.takes)])
    return operation


def _in_query(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (_,), components = msgspec.json.schema_components([query], ref_template="#/components/schemas/{name}")
    found = components[query.__name__]["properties"].items()
    return [{"name": name, "in": "query", "description": schema.pop("description", ""), "schema": schema} for name, schema in found]


def _request_body(said: Described, schema: dict[str, Any]) -> dict[str, Any]:
    files = {media_type: {"schema": {"type": "string"}} for media_type in said.takes_text}
    return {"required": True, "content": {"multipart/form-data" if said.multipart else JSON: {"schema": schema}, **files}}


def _add_file(form: dict[str, Any]) -> None:
    """The part that is streamed, and so is no field of the Struct."""
    form["properties"] = {"file": FILE_PART, **form["properties"]}
    form["required"] = ["file", *form["required"]]


def _successes(handler: HTTPRouteHandler, said: Described, schema_of: dict[str, Any]) -> dict[str, Any]:
    headers = [*COMMON_HEADERS, *(["Location"] if said.location else [])]
    content = {said.media_type: {"schema": schema_of[repr(said.gives)]}}
    return {str(status): _response(HTTPStatus(status).phrase, headers, content) for status in (handler.status_code, *said.also)}


def _refusals(codes: Iterable[Code], schema_of: dict[str, Any]) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[STATUS[code]].append(code)
    return {str(status): _refusal(by_status[status], schema_of[repr(ErrorAnswer)]) for status in sorted(by_status)}


def _refusal(codes: list[Code], schema: dict[str, Any]) -> dict[str, Any]:
    description = "\n".join(f"{code}: {HINTS[code]}" for code in codes)
    headers = [*COMMON_HEADERS, *(["Retry-After"] if any("retry-after" in headers_for(Failure(code, "")) for code in codes) else [])]
    return _response(
        description, headers, {JSON: {"schema": schema, "examples": {code.value: {"value": _example(code)} for code in codes}}}
    )


def _response(description: str, headers: list[str], content: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": content,
    }


def _example(code: Code) -> Any:
    return msgspec.to_builtins(error_answer(Failure(code, "what went wrong, in words"), EXAMPLE_ID))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


COMMON_HEADERS = ("X-Correlation-Id",)
HEADERS: dict[str, Any] = {
    "X-Correlation-Id": {"description": "The id of this request in our logs.", "schema": {"type": "string"}},
    "Location": {"description": "Where the job's status is.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}},
}

FILE_PART = {"type": "string", "contentMediaType": "application/octet-stream", "description": "The source itself."}

KEYS: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

PARAMETERS: dict[str, Any] = {
    "X-Request-Id": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Your own id for this request, to be its correlation id: up to 128 of A-Z a-z 0-9 . _ : @ / + = -",
        "schema": {"type": "string", "maxLength": 128},
    },
}
