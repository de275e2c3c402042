"""The API's description of itself: it says what is true and all of it, and its page needs nobody else."""

import re
from collections.abc import AsyncIterator, Iterator
from html import escape
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from libs.common.domain.failures import HINTS, Code
from services.api.caller import Scope
from services.api.problems import STATUS
from tests.api.conftest import Running, running
from tests.api.test_jobs import FULL, created
from tests.builders import history


async def document(api: Running) -> dict[str, Any]:
    return (await api.http.get("/schema/openapi.json")).json()


@pytest.fixture(scope="module")
async def whole(api: Running) -> AsyncIterator[dict[str, Any]]:
    """The document of an API that has the operator's routes too."""
    async with running(api.environ, ADMIN_ENABLED="true", API_SECRET="s" * 32) as (http, _):
        yield (await http.get("/schema/openapi.json")).json()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, said in item.items():
            yield f"{method.upper()} {path}", said


def bodies(said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of an operation's request and answers: media types with what is said of them."""
    for holder in (said.get("requestBody", {}), *said["responses"].values()):
        yield from holder.get("content", {}).items()


async def test_every_call_of_the_contract_is_described(whole: dict[str, Any]) -> None:
    assert {name for name, _ in operations(whole)} >= {
        *("POST /api/jobs", "POST /api/jobs/upload", "GET /api/jobs", "POST /api/uploads", "POST /api/probe"),
        *("GET /api/jobs/{job_id}", "DELETE /api/jobs/{job_id}", "GET /api/jobs/{job_id}/events", "GET /api/jobs/{job_id}/result"),
        *("PUT /api/jobs/{job_id}/subtitles", "POST /api/admin/keys", "GET /api/admin/dlq", "POST /api/admin/dlq/{seq}/replay"),
        *("GET /healthz", "GET /readyz", "GET /metrics"),
    }


def test_the_document_is_openapi(whole: dict[str, Any]) -> None:
    assert whole["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(whole).validate()
    assert all(f"{scope}: " in whole["info"]["description"] for scope in Scope)
    names = [said["operationId"] for _, said in operations(whole)]
    assert len(names) == len(set(names))


def test_each_call_says_which_key_it_needs_and_what_the_door_refuses(whole: dict[str, Any]) -> None:
    for name, said in operations(whole):
        if not name.split()[1].startswith("/api/"):
            continue
        ((_, (scope,)),) = {(key, tuple(scopes)) for way in said["security"] for key, scopes in way.items() if key == "bearer"}
        assert scope == ("admin" if "/admin/" in name else "jobs:read" if name.startswith("GET") else "jobs:write"), name
        assert {"401", "403", "429", "500"} <= set(said["responses"]), name
        assert "WWW-Authenticate" in said["responses"]["401"]["headers"]
        assert {"Retry-After", "RateLimit-Reset"} <= set(said["responses"]["429"]["headers"])


def test_what_writes_says_where_the_client_stands_and_a_job_may_be_asked_for_twice(whole: dict[str, Any]) -> None:
    counted = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"}
    for name, said in operations(whole):
        (answer, *_) = [said for status, said in said["responses"].items() if status.startswith("2")]
        assert (counted <= set(answer["headers"])) == (said.get("security", [{}])[0].get("bearer") == ["jobs:write"]), name
    key = {"$ref": "#/components/parameters/Idempotency-Key"}
    assert {"POST /api/jobs", "POST /api/jobs/upload"} <= {name for name, said in operations(whole) if key in said["parameters"]}


def test_examples_are_there_and_keep_to_their_schemas(whole: dict[str, Any]) -> None:
    for name, said in operations(whole):
        for media_type, body in bodies(said):
            examples = [example["value"] for example in body.get("examples", {}).values()]
            assert examples or "example" in body or (media_type, body) not in [*said.get("requestBody", {}).get("content", {}).items()], (
                name
            )
            check = jsonschema_rs.validator_for({**body["schema"], "components": whole["components"]})
            for example in examples:
                check.validate(example)


async def test_every_error_is_said_by_its_code_with_an_example(whole: dict[str, Any]) -> None:
    responses = whole["paths"]["/api/jobs"]["post"]["responses"]
    examples = {status: set(said["content"]["application/json"]["examples"]) for status, said in responses.items()}
    assert {status: found for status, found in examples.items() if status != "202"} == {
        "400": {"VALIDATION_FAILED", "CLIP_TOO_LONG", "BAD_REQUEST"},
        "401": {"UNAUTHORIZED"},
        "403": {"FORBIDDEN", "YTDLP_DISABLED", "SSRF_BLOCKED", "SOURCE_FORBIDDEN"},
        "409": {"CONFLICT"},
        "413": {"INPUT_TOO_LARGE"},
        "422": {"IDEMPOTENCY_KEY_REUSED"},
        "429": {"RATE_LIMITED", "TOO_MANY_ACTIVE_JOBS"},
        "500": {"INTERNAL"},
        "503": {"BACKPRESSURE", "STORAGE_UNAVAILABLE", "RETRYABLE_ERROR"},
    }
    example = responses["403"]["content"]["application/json"]["examples"]["YTDLP_DISABLED"]["value"]["error"]
    assert (example["code"], example["details"]["retryable"]) == ("YTDLP_DISABLED", False)


async def test_the_limits_of_a_request_are_in_its_schema(api: Running) -> None:
    schemas = (await document(api))["components"]["schemas"]
    new_job = schemas["NewJob"]
    assert new_job["additionalProperties"] is False
    assert new_job["required"] == ["sourceType"]
    assert new_job["properties"]["metadata"]["maxProperties"] == 16
    assert new_job["properties"]["accuracy"]["enum"] == ["exact", "fast"]
    assert (schemas["NewUpload"]["required"], "file" in schemas["NewUpload"]["properties"]) == (["file"], True)


async def test_a_transcript_may_be_sent_in_three_ways(api: Running) -> None:
    described = (await document(api))["paths"]["/api/jobs/{job_id}/subtitles"]["put"]["requestBody"]["content"]
    assert {media_type: said["schema"] for media_type, said in described.items()} == {
        "application/json": {"$ref": "#/components/schemas/NewTranscript"},
        "text/vtt": {"type": "string"},
        "application/x-subrip": {"type": "string"},
    }


def test_a_stream_is_described_event_by_event(whole: dict[str, Any]) -> None:
    said = whole["paths"]["/api/jobs/{job_id}/events"]["get"]
    event = said["responses"]["200"]["content"]["text/event-stream"]["schema"]["properties"]
    assert event["data"]["contentSchema"] == {"$ref": "#/components/schemas/StreamedEvent"}
    assert {"$ref": "#/components/parameters/Last-Event-ID"} in said["parameters"]
    assert "content" not in said["responses"]["204"]


async def test_options_tells_every_method_of_a_path(api: Running) -> None:
    for path, item in (await document(api))["paths"].items():
        told = (await api.http.options(re.sub(r"{\w+}", "1", path))).headers["allow"]
        assert set(told.split(", ")) == {method.upper() for method in item} | {"OPTIONS"}, path


async def test_what_to_do_about_each_error_is_said(api: Running) -> None:
    said = (await document(api))["components"]["schemas"]["Code"]["description"].splitlines()
    assert said == [f"{code} ({STATUS[code]}): {HINTS[code]}" for code in Code]
    assert escape(said[0]) in (await api.http.get("/schema")).text


def test_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    described = whole
    for reference in set(re.findall(r"'\$ref': '#/([^']+)'", str(described))):
        place: Any = described
        for step in reference.split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize("path", ["/api/jobs/{}", "/api/jobs/{}/result"])
async def test_answers_have_the_fields_that_their_schema_names(api: Running, path: str) -> None:
    described = await document(api)
    answer = (await api.http.get(path.format(await api.knows(*history(*FULL))))).json()
    operation = described["paths"][path.format("{job_id}")]["get"]
    assert fits(answer, operation["responses"]["200"]["content"]["application/json"]["schema"], described)
    assert fits((await created(api)).json(), {"$ref": "#/components/schemas/Accepted"}, described)


def fits(value: Any, schema: dict[str, Any], described: dict[str, Any]) -> bool:
    """Whether objects, through and through, have no field that the schema lacks and lack none that it requires."""
    if "$ref" in schema:
        return fits(value, described["components"]["schemas"][schema["$ref"].rpartition("/")[2]], described)
    if not isinstance(value, dict) or "properties" not in schema:
        return True
    known = schema["properties"]
    return set(schema["required"]) <= set(value) <= set(known) and all(fits(value[name], known[name], described) for name in value)


async def test_the_page_shows_every_call_and_loads_nothing(api: Running) -> None:
    answer = await api.http.get("/schema")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for path in (await document(api))["paths"]:
        assert f"<code>{path}</code>" in answer.text
    assert not re.search(r"<script|<link|src=|@import|url\(", answer.text)
    assert {place for place in re.findall(r'href="([^"]+)"', answer.text) if not place.startswith("#")} == {
        *("/schema/openapi.json", "/schema/asyncapi.json")
    }
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) <= set(re.findall(r'id="([^"]+)"', answer.text))
