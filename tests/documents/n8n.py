"""Runs an n8n workflow with one item, as n8n would: the few kinds of nodes and forms of expressions that our recipes use, and no others."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

MOST_STEPS = 100
EXPRESSION = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
REFERENCE = re.compile(r"(?:\$json|\$\('(?P<node>[^']+)'\)\.item\.json)(?P<path>(?:\.\w+)*)")
ENCODED = re.compile(r"encodeURIComponent\((.+)\)")


class Stopped(Exception):
    """A Stop and Error node was reached."""


@dataclass(slots=True)
class Run:
    """`said`: what each node gave last, by its name. `files`: what HTTP Request nodes fetched as files."""

    workflow: dict[str, Any]
    http: httpx.AsyncClient
    said: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    execution: str = field(default_factory=lambda: uuid4().hex)

    async def begin(self, item: dict[str, Any]) -> None:
        """From its trigger, to where nothing follows. Raises Stopped; an answer of 4xx or 5xx is n8n's error, and ours."""
        nodes = {node["name"]: node for node in self.workflow["nodes"]}
        [name] = nodes.keys() - {link["node"] for links in self.workflow["connections"].values() for out in links["main"] for link in out}
        self.said[name] = item
        for _ in range(MOST_STEPS):
            outputs = self.workflow["connections"].get(name, {"main": []})["main"]
            chosen = outputs[self._output(nodes[name]) :][:1]
            if not chosen:
                return
            item, [link] = self.said[name], chosen[0]
            name = link["node"]
            self.said[name] = await self._done(nodes[name], item)
        raise AssertionError("the workflow does not end")

    def _output(self, node: dict[str, Any]) -> int:
        return 0 if node["type"] != "n8n-nodes-base.if" or self._holds(node["parameters"]["conditions"], self.said[node["name"]]) else 1

    def _holds(self, wanted: dict[str, Any], item: Any) -> bool:
        assert all(one["operator"] == {"type": "string", "operation": "equals"} for one in wanted["conditions"])
        found = [self.value(one["leftValue"], item) == self.value(one["rightValue"], item) for one in wanted["conditions"]]
        return any(found) if wanted["combinator"] == "or" else all(found)

    async def _done(self, node: dict[str, Any], item: Any) -> Any:
        told = node["parameters"]
        match node["type"].removeprefix("n8n-nodes-base."):
            case "set":
                kept = item if told.get("includeOtherFields") else {}
                return kept | {one["name"]: self.value(one["value"], item) for one in told["assignments"]["assignments"]}
            case "httpRequest":
                return await self._requested(node, item)
            case "stopAndError":
                raise Stopped(self.value(told["errorMessage"], item))
            case "wait":
                assert told["unit"] == "seconds"
                await asyncio.sleep(told["amount"])
                return item
            case "if":
                return item
            case kind:
                raise AssertionError(f"this runs no {kind}")

    async def _requested(self, node: dict[str, Any], item: Any) -> Any:
        told = node["parameters"]
        headers = self._pairs(told, "sendHeaders", "headerParameters", item)
        body = self._pairs(told, "sendBody", "bodyParameters", item)
        url = self.value(told["url"], item)
        self.requests.append(f"{node['name']}: {url}")
        answer = await self.http.request(told.get("method", "GET"), url, headers=headers, json=body or None)
        answer.raise_for_status()
        wanted = told["options"].get("response", {}).get("response", {})
        if wanted.get("responseFormat") != "file":
            return answer.json()
        self.files[wanted["outputPropertyName"]] = answer.content
        return {}

    def _pairs(self, told: dict[str, Any], switch: str, name: str, item: Any) -> dict[str, Any]:
        assert told.get(switch, False) == (name in told)
        return {one["name"]: self.value(one["value"], item) for one in told.get(name, {"parameters": []})["parameters"]}

    def value(self, written: Any, item: Any) -> Any:
        """A text that begins with `=` is a template; one expression alone keeps its type."""
        if not isinstance(written, str) or not written.startswith("="):
            return written
        template = written[1:]
        if alone := EXPRESSION.fullmatch(template):
            return self._evaluated(alone[1], item)
        return EXPRESSION.sub(lambda found: str(self._evaluated(found[1], item) or ""), template)

    def _evaluated(self, expression: str, item: Any) -> Any:
        if expression in {"$workflow.id", "$execution.id"}:
            return self.execution
        if encoded := ENCODED.fullmatch(expression):
            return quote(str(self._evaluated(encoded[1], item)), safe="!'()*")
        reference = REFERENCE.fullmatch(expression)
        assert reference, f"{expression} is a form that this does not know"
        found = self.said[reference["node"]] if reference["node"] else item
        for name in reference["path"].split(".")[1:]:
            found = (found or {}).get(name)
        return found
