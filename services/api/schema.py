"""Routes of the API's own description: OpenAPI, AsyncAPI, and a page to browse the first that needs no script and no other host.

Litestar's renderers load theirs from a CDN, which a machine without the internet doesn't have.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any

from litestar import MediaType, Response, get

from services.api import asyncapi
from services.api.context import AnyRequest
from services.api.openapi import document

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-top:1px solid #d0d7de;padding-top:1rem;font-size:1.1rem}
h2 b,li b{display:inline-block;min-width:3.7rem;text-transform:uppercase;color:#0a5dc2}
li{list-style:none}ul{padding:0}summary{cursor:pointer}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f3f5f7;border-radius:4px}code{padding:.1em .3em}pre{padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%}td{border-top:1px solid #e4e8ec;padding:.35rem .6rem .35rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code,pre{background:#1a212a}
h2 b,li b,a{color:#6cb6ff}td,h2{border-color:#2a323c}}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} API</title><style>{style}</style>
<h1>{title} API</h1>{description}
<p>For programs: <a href="/schema/openapi.json">/schema/openapi.json</a>, and for the events
behind it <a href="/schema/asyncapi.json">/schema/asyncapi.json</a></p>
"""


@get("/schema/openapi.json", media_type="application/vnd.oai.openapi+json", open_to_all=True)
async def openapi_json(request: AnyRequest) -> dict[str, Any]:
    return _document(request.app)


@get("/schema/asyncapi.json", media_type="application/vnd.aai.asyncapi+json", open_to_all=True)
async def asyncapi_json() -> dict[str, Any]:
    return _events()


@get("/schema", media_type=MediaType.HTML, open_to_all=True)
async def schema_page(request: AnyRequest) -> Response[str]:
    return Response(page(_document(request.app)), headers={"content-security-policy": POLICY})


@cache
def _document(app: Any) -> dict[str, Any]:
    return document(app.routes)


_events = cache(asyncapi.document)


def page(api: dict[str, Any]) -> str:
    """Every operation with its fields and answers, then every schema."""
    info = api["info"]
    shared = api["components"]["parameters"]
    operations = [_operation(path, method, said, shared) for path, item in api["paths"].items() for method, said in item.items()]
    schemas = [_schema(name, schema) for name, schema in api["components"]["schemas"].items()]
    contents = "".join(
        f'<li><a href="#{escape(said["operationId"])}"><b>{method}</b> <code>{escape(path)}</code></a> {escape(said["summary"])}'
        for path, item in api["paths"].items()
        for method, said in item.items()
    )
    head = HEAD.format(title=escape(info["title"]), style=STYLE, description=_paragraphs(info["description"]))
    return "".join([head, f"<ul>{contents}</ul>", *operations, "<h2>Schemas</h2>", *schemas])


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))


def _operation(path: str, method: str, said: dict[str, Any], shared: dict[str, Any]) -> str:
    given = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in said["parameters"]]
    return "".join(
        (
            f'<h2 id="{escape(said["operationId"])}"><b>{method}</b> <code>{escape(path)}</code></h2>',
            _paragraphs(f"{said['summary']}. {said['description']}"),
            _table((_property(one["name"], one.get("required", False)), _parameter(one)) for one in given),
            f"<p>Takes</p>{_bodies(said['requestBody']['content'])}" if "requestBody" in said else "",
            "<p>Answers</p>",
            _table((status, _answer(answer)) for status, answer in said["responses"].items()),
        )
    )


def _parameter(one: dict[str, Any]) -> str:
    return f"{escape(one['in'])}, {_field(one['schema'] | {'description': one.get('description', '')})}"


def _answer(answer: dict[str, Any]) -> str:
    """Its errors line by line; its headers, but for those that all have."""
    told = "<br>".join(escape(line) for line in answer["description"].splitlines())
    headers = ", ".join(f"<code>{escape(name)}</code>" for name in answer["headers"] if name != "X-Correlation-Id")
    return f"{told}{headers and f'<br>{headers}'}{_bodies(answer.get('content', {}))}"


def _bodies(content: dict[str, Any]) -> str:
    return "".join(f"<p><code>{escape(kind)}</code> {_kind(body['schema'])}{_shown(body)}</p>" for kind, body in content.items())


def _shown(body: dict[str, Any]) -> str:
    """Examples, folded away."""
    named = {name: example["value"] for name, example in body.get("examples", {}).items()}
    if "example" in body:
        named["example"] = body["example"]
    return "".join(
        f"<details><summary>{escape(name)}</summary><pre>{escape(_text(value))}</pre></details>" for name, value in named.items()
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _schema(name: str, schema: dict[str, Any]) -> str:
    heading = f'<h3 id="schema-{escape(name)}">{escape(name)}</h3>{_paragraphs(schema.get("description", ""))}'
    if "properties" not in schema:
        return f"{heading}<pre>{escape(json.dumps(schema, indent=2))}</pre>"
    required = schema.get("required", ())
    return heading + _table((_property(field, field in required), _field(about)) for field, about in schema["properties"].items())


def _property(name: str, required: bool) -> str:  # noqa: FBT001  a property of the field it names
    return f"<code>{escape(name)}</code>{' required' if required else ''}"


def _field(about: dict[str, Any]) -> str:
    default = f", default <code>{escape(json.dumps(about['default']))}</code>" if "default" in about else ""
    return f"{_kind(about)}{default}<br>{escape(about.get('description', ''))}"


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a word or two, linked to where it is spelt out."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for joined, word in (("anyOf", " or "), ("allOf", " and ")):
        if joined in schema:
            return word.join(_kind(part) for part in schema[joined])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_kind(schema['items'])}"
    if "contentSchema" in schema:
        return f"{_kind(schema['contentSchema'])} as text"
    if schema.get("type") == "object" and "properties" in schema:
        return ", ".join(f"<code>{escape(name)}</code> {_kind(about)}" for name, about in schema["properties"].items())
    return escape(str(schema.get("format") or schema.get("type", "any")))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{left}<td>{right}" for left, right in rows) + "</table>"
