"""Routes of the API's own description: the OpenAPI document, and a page to browse it that needs no script and no other host.

Litestar's renderers load theirs from a CDN, which a machine without the internet doesn't have.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from typing import Any

from litestar import MediaType, Response, get

from services.api.context import AnyRequest
from services.api.openapi import document

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-top:1px solid #d0d7de;padding-top:1rem;font-size:1.1rem}
h2 b{display:inline-block;min-width:3.5rem;text-transform:uppercase;color:#0a5dc2}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f3f5f7;border-radius:4px}code{padding:.1em .3em}pre{padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%}td{border-top:1px solid #e4e8ec;padding:.35rem .6rem .35rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code,pre{background:#1a212a}h2 b{color:#6cb6ff}a{color:#6cb6ff}}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} API</title><style>{style}</style>
<h1>{title} API</h1><p>{description} For programs: <a href="/schema/openapi.json">/schema/openapi.json</a></p>
"""


@get("/schema/openapi.json", media_type="application/vnd.oai.openapi+json")
async def openapi_json(request: AnyRequest) -> dict[str, Any]:
    return _document(request.app)


@get("/schema", media_type=MediaType.HTML)
async def schema_page(request: AnyRequest) -> Response[str]:
    return Response(page(_document(request.app)), headers={"content-security-policy": POLICY})


@cache
def _document(app: Any) -> dict[str, Any]:
    return document(app.routes)


def page(api: dict[str, Any]) -> str:
    """Every operation with its fields and answers, then every schema."""
    info = api["info"]
    operations = [_operation(path, method, said) for path, item in api["paths"].items() for method, said in item.items()]
    schemas = [_schema(name, schema) for name, schema in api["components"]["schemas"].items()]
    return HEAD.format(title=escape(info["title"]), style=STYLE, description=escape(info["description"])) + "".join([*operations, *schemas])


def _operation(path: str, method: str, said: dict[str, Any]) -> str:
    takes = ", ".join(_content(said["requestBody"]["content"])) if "requestBody" in said else ""
    return (
        f'<h2 id="{escape(said["operationId"])}"><b>{method}</b> <code>{escape(path)}</code></h2>'
        f"<p>{escape(said['summary'])}. {escape(said['description'])}</p>{takes and f'<p>Takes {takes}</p>'}"
    ) + _table((status, _answer(answer)) for status, answer in said["responses"].items())


def _answer(answer: dict[str, Any]) -> str:
    return escape(answer["description"]) + "".join(f"<br>{content}" for content in _content(answer.get("content", {})))


def _content(content: dict[str, Any]) -> Iterator[str]:
    for media_type, body in content.items():
        yield f"<code>{escape(media_type)}</code> {_kind(body['schema'])}"


def _schema(name: str, schema: dict[str, Any]) -> str:
    heading = f'<h2 id="schema-{escape(name)}">{escape(name)}</h2><p>{escape(schema.get("description", ""))}</p>'
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
    if schema.get("type") == "object" and "properties" in schema:
        return " and ".join(f"<code>{escape(name)}</code>" for name in schema["properties"])
    return escape(str(schema.get("format") or schema.get("type", "any")))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{left}<td>{right}" for left, right in rows) + "</table>"
