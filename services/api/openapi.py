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
from services.api.examples import EXAMPLE_ID, EXAMPLES, TEXTS
from services.api.openapi_parts import COUNTED, DESCRIPTION, FILE_PART, HEADERS, IN_PATH, KEYS, PARAMETERS
from services.api.problems import STATUS, ErrorAnswer, error_answer, headers_for

VERSION = "1.0.0"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
AT_THE_DOOR = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.RATE_LIMITED)
"""What every route with a scope may refuse, and need not say."""
OF_A_BODY = (Code.VALIDATION_FAILED, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE)
"""The same, of every route that takes one."""
UNCOUNTED = frozenset({STATUS[Code.UNAUTHORIZED], STATUS[Code.FORBIDDEN]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a route says of itself: `@get(…, described=Described(…))`.

    `also` are statuses beside 2xx that carry `gives`, `takes_text` media types of files that may be sent instead of `takes`,
    `headers` those of the request (openapi_parts.py); `empty` says why the answer may be a 204.
    """

    summary: str
    gives: Any
    takes: type[msgspec.Struct] | None = None
    takes_text: tuple[str, ...] = ()
    media_type: str = JSON
    body_required: bool = True
    multipart: bool = False
    location: bool = False
    repeatable: bool = False
    """Whether it takes an Idempotency-Key."""
    headers: tuple[str, ...] = ()
    empty: str | None = None
    also: tuple[int, ...] = ()
    query: type[msgspec.Struct] | None = None
    scope: Scope | None = None
    """What a key needs; None for what is open to all."""
    refuses: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """A route with what it says of itself."""

    path: str
    method: str
    handler: HTTPRouteHandler
    said: Described

    @property
    def name(self) -> str:
        first, *rest = self.handler.handler_name.split("_")
        return first + "".join(word.title() for word in rest)

    @property
    def codes(self) -> tuple[Code, ...]:
        read = OF_A_BODY if self.said.takes else ()
        return (*(AT_THE_DOOR if self.said.scope else ()), *read, *self.said.refuses, Code.INTERNAL)

    @property
    def counted(self) -> tuple[str, ...]:
        """The headers of an answer that counts against the caller's limit."""
        return COUNTED if self.said.scope is Scope.WRITE else ()


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Of all routes that describe themselves."""
    operations = list(_operations(routes))
    kinds = [kind for one in operations for kind in (one.said.takes, one.said.gives, one.said.query) if kind]
    schemas, components = msgspec.json.schema_components([*kinds, ErrorAnswer], ref_template="#/components/schemas/{name}")
    components["Code"]["description"] = "\n".join(f"{code} ({STATUS[code]}): {hint}" for code, hint in HINTS.items())
    schema_of = dict(zip([repr(kind) for kind in (*kinds, ErrorAnswer)], schemas, strict=True))
    queries = {kind.__name__: components.pop(kind.__name__) for kind in {one.said.query for one in operations} if kind}
    for form in {one.said.takes.__name__ for one in operations if one.said.takes and one.said.multipart}:
        _add_file(components[form])
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in operations:
        paths[one.path][one.method] = _operation(one, schema_of, queries)
    _link(operations, paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clipstream", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in ("clips", "admin", "operations")],
        "paths": dict(paths),
        "components": {"schemas": components, "headers": HEADERS, "parameters": PARAMETERS, "securitySchemes": KEYS},
    }


def _operations(routes: Iterable[BaseRoute]) -> Iterator[Operation]:
    for route in sorted((route for route in routes if isinstance(route, HTTPRoute)), key=lambda route: route.path):
        for method, (handler, _) in route.route_handler_map.items():
            if said := handler.opt.get("described"):
                yield Operation(route.path_format, method.lower(), handler, said)


def _operation(one: Operation, schema_of: dict[str, Any], queries: dict[str, Any]) -> dict[str, Any]:
    said = one.said
    operation: dict[str, Any] = {
        "operationId": one.name,
        "summary": said.summary,
        "description": inspect.getdoc(one.handler.fn) or said.summary,
        "tags": [_tag(one)],
        "parameters": [*_parameters(one), *(_in_query(queries[said.query.__name__]) if said.query else ())],
        "responses": {**_successes(one, schema_of), **_refusals(one, schema_of)},
    }
    if said.scope:
        operation["description"] += f"\n\nNeeds a key with the scope {said.scope}, where keys are on."
        operation["security"] = [{name: [said.scope.value]} for name in KEYS]
    if said.takes is not None:
        operation["requestBody"] = _request_body(said, schema_of[repr(said.takes)])
    return operation


def _tag(one: Operation) -> str:
    if one.said.scope is Scope.ADMIN:
        return "admin"
    return "clips" if one.path.startswith("/api/") else "operations"


def _parameters(one: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", one.path):
        yield {"name": name, "in": "path", "required": True, **IN_PATH.get(name, {"schema": {"type": "string"}})}
    for name in ("X-Request-Id", *(["Idempotency-Key"] if one.said.repeatable else []), *one.said.headers):
        yield {"$ref": f"#/components/parameters/{name}"}


def _in_query(query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = query.get("required", ())
    for name, schema in query["properties"].items():
        shown = _as_text(_without_null({key: value for key, value in schema.items() if key != "description"}))
        yield {"name": name, "in": "query", "required": name in required, "description": schema.get("description", ""), "schema": shown}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query holds text only: what is not named is not there."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    if "anyOf" not in kept:
        return kept
    choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
    return {**kept, **choices[0]} if len(choices) == 1 else {**kept, "anyOf": choices}


def _as_text(schema: dict[str, Any]) -> dict[str, Any]:
    """Of what is text anyhow, a time is also taken as seconds since 1970."""
    return {"anyOf": [schema, {"type": "number"}]} if schema.get("format") == "date-time" else schema


def _request_body(said: Described, schema: dict[str, Any]) -> dict[str, Any]:
    own = {"schema": schema, **_examples(said.takes)}
    files = {media_type: {"schema": {"type": "string"}, "example": TEXTS[media_type]} for media_type in said.takes_text}
    return {"required": said.body_required, "content": {"multipart/form-data" if said.multipart else JSON: own, **files}}


def _examples(kind: Any) -> dict[str, Any]:
    found = EXAMPLES.get(getattr(kind, "__name__", ""), {})
    return {"examples": {name: {"value": value} for name, value in found.items()}} if found else {}


def _add_file(form: dict[str, Any]) -> None:
    """The part that is streamed, and so is no field of the Struct."""
    form["properties"] = {"file": FILE_PART, **form["properties"]}
    form["required"] = ["file", *form.get("required", ())]


def _successes(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    said = one.said
    headers = [*one.counted, *(["Location"] if said.location else []), *(["Idempotency-Replayed"] if said.repeatable else [])]
    content = {said.media_type: _streamed(said) if said.media_type == EVENT_STREAM else _content(said, schema_of)}
    statuses = (one.handler.status_code, *said.also)
    answers = {str(status): _response(HTTPStatus(status).phrase, headers, content) for status in statuses}
    return answers | ({"204": _response(said.empty, headers)} if said.empty else {})


def _content(said: Described, schema_of: dict[str, Any]) -> dict[str, Any]:
    return {"schema": schema_of[repr(said.gives)], **_examples(said.gives)}


def _streamed(said: Described) -> dict[str, Any]:
    """OpenAPI 3.1 has no word for a stream: the schema is that of one event of it, as 3.2 has it."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": {"$ref": f"#/components/schemas/{said.gives.__name__}"}}
    fields = {"id": {"type": "string", "pattern": "^[0-9]+$"}, "event": {"type": "string"}, "data": data}
    schema = {"type": "object", "title": "Server-Sent Event", "properties": fields, "required": list(fields)}
    return {"schema": schema, "example": TEXTS[EVENT_STREAM]}


def _refusals(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = defaultdict(list)
    for code in dict.fromkeys(one.codes):
        by_status[STATUS[code]].append(code)
    schema = schema_of[repr(ErrorAnswer)]
    return {
        str(status): _refusal(by_status[status], schema, () if status in UNCOUNTED else one.counted)
        for status in sorted(by_status)
        if status not in one.said.also
    }


def _refusal(codes: list[Code], schema: dict[str, Any], counted: tuple[str, ...]) -> dict[str, Any]:
    description = "\n".join(f"{code}: {HINTS[code]}" for code in codes)
    sent = {name for code in codes for name in headers_for(Failure(code, ""))}
    headers = [*counted, *(name for name in ("Retry-After", "WWW-Authenticate") if name.lower() in sent)]
    if Code.RATE_LIMITED in codes:
        headers = [*headers, *(name for name in COUNTED if name not in counted)]
    examples = {code.value: {"value": _example(code)} for code in codes}
    return _response(description, headers, {JSON: {"schema": schema, "examples": examples}})


def _response(description: str, headers: Iterable[str], content: dict[str, Any] | None = None) -> dict[str, Any]:
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Correlation-Id", *headers)}
    return {"description": description, "headers": named, **({"content": content} if content else {})}


def _example(code: Code) -> Any:
    return msgspec.to_builtins(error_answer(Failure(code, "what went wrong, in words"), EXAMPLE_ID))


def _link(operations: list[Operation], paths: dict[str, Any]) -> None:
    """From an answer that names a job to what can be done with it. Not to the stream of its events, which has no end until the job has."""
    of_a_job = [one for one in operations if "{job_id}" in one.path and one.said.media_type == JSON and one.said.takes is None]
    links = {one.name: {"operationId": one.name, "parameters": {"job_id": "$response.body#/job/id"}} for one in of_a_job}
    for one in operations:
        if getattr(one.said.gives, "__name__", "") in {"Accepted", "JobAnswer"}:
            paths[one.path][one.method]["responses"][str(one.handler.status_code)]["links"] = links
