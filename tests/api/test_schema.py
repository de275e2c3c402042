"""The API's description of itself: it says what is true, and its page needs nobody else."""

import re
from html import escape
from typing import Any

import pytest

from libs.common.domain.failures import HINTS, Code
from services.api.problems import STATUS
from tests.api.conftest import Running
from tests.api.test_jobs import FULL, created
from tests.builders import history


async def document(api: Running) -> dict[str, Any]:
    return (await api.http.get("/schema/openapi.json")).json()


async def test_every_call_of_the_contract_is_described(api: Running) -> None:
    paths = (await document(api))["paths"]
    assert {(path, method) for path, item in paths.items() for method in item} == {
        ("/api/jobs", "post"),
        ("/api/jobs/upload", "post"),
        ("/api/jobs/{job_id}", "get"),
        ("/api/jobs/{job_id}", "delete"),
        ("/api/jobs/{job_id}/result", "get"),
        ("/api/jobs/{job_id}/subtitles", "put"),
        ("/api/uploads", "post"),
        ("/api/probe", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }


async def test_every_error_is_said_by_its_code_with_an_example(api: Running) -> None:
    responses = (await document(api))["paths"]["/api/jobs"]["post"]["responses"]
    examples = {status: set(said["content"]["application/json"].get("examples", ())) for status, said in responses.items()}
    assert examples == {
        "202": set(),
        "400": {"VALIDATION_FAILED", "CLIP_TOO_LONG", "BAD_REQUEST"},
        "403": {"YTDLP_DISABLED", "SSRF_BLOCKED", "SOURCE_FORBIDDEN"},
        "413": {"INPUT_TOO_LARGE"},
        "500": {"INTERNAL"},
        "503": {"BACKPRESSURE", "STORAGE_UNAVAILABLE", "RETRYABLE_ERROR"},
    }
    example = responses["403"]["content"]["application/json"]["examples"]["YTDLP_DISABLED"]["value"]["error"]
    assert (example["code"], example["details"]["retryable"]) == ("YTDLP_DISABLED", False)


async def test_the_limits_of_a_request_are_in_its_schema(api: Running) -> None:
    schemas = (await document(api))["components"]["schemas"]
    new_job = schemas["NewJob"]
    assert new_job["additionalProperties"] is False
    assert new_job["required"] == ["end", "sourceType"]
    assert new_job["properties"]["metadata"]["maxProperties"] == 16
    assert new_job["properties"]["accuracy"]["enum"] == ["exact", "fast"]
    assert (schemas["NewUpload"]["required"], "file" in schemas["NewUpload"]["properties"]) == (["file", "end"], True)


async def test_a_transcript_may_be_sent_in_three_ways(api: Running) -> None:
    described = (await document(api))["paths"]["/api/jobs/{job_id}/subtitles"]["put"]["requestBody"]["content"]
    assert described == {
        "application/json": {"schema": {"$ref": "#/components/schemas/NewTranscript"}},
        "text/vtt": {"schema": {"type": "string"}},
        "application/x-subrip": {"schema": {"type": "string"}},
    }


async def test_what_to_do_about_each_error_is_said(api: Running) -> None:
    said = (await document(api))["components"]["schemas"]["Code"]["description"].splitlines()
    assert said == [f"{code} ({STATUS[code]}): {HINTS[code]}" for code in Code]
    assert escape(said[0]) in (await api.http.get("/schema")).text


async def test_every_reference_leads_somewhere(api: Running) -> None:
    described = await document(api)
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
    assert not re.search(r"<script|src=|https?://|@import|url\(", answer.text)
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) <= set(re.findall(r'id="([^"]+)"', answer.text))
