"""What every answer has around it: correlation ids, the error envelope, headers, log lines and counts; also where no route matched."""

import asyncio
from unittest.mock import patch

import pytest

from libs.common.domain.failures import Code
from services.api.access import correlation_id_for, valid_traceparent
from services.api.problems import STATUS
from tests.api.conftest import Running, running
from tests.api.test_jobs import code_of, created

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nothing", b"", (404, "NOT_FOUND", None)),
        ("GET", "/api/jobs/a/b/c", b"", (404, "NOT_FOUND", None)),
        ("PUT", "/api/jobs", b"{}", (405, "METHOD_NOT_ALLOWED", None)),
        ("BREW", "/api/jobs", b"", (405, "METHOD_NOT_ALLOWED", None)),
        ("POST", "/api/jobs", b"{", (400, "BAD_REQUEST", None)),
        ("POST", "/api/jobs", b"", (400, "BAD_REQUEST", None)),
        ("POST", "/api/jobs", b'{"start": "\xff"}', (400, "BAD_REQUEST", None)),
        ("POST", "/api/jobs", b"[]", (400, "VALIDATION_FAILED", None)),
        ("POST", "/api/jobs", b" " * 65_537, (413, "INPUT_TOO_LARGE", None)),
        ("POST", "/api/uploads", b"{", (400, "BAD_REQUEST", None)),
    ],
)
async def test_every_error_is_in_the_envelope(api: Running, method: str, path: str, body: bytes, expected: tuple[int, str, None]) -> None:
    answer = await api.http.request(method, path, content=body, headers={**JSON, "x-request-id": "req-1"})
    error = answer.json()["error"]
    assert code_of(answer) == expected
    assert answer.headers["x-correlation-id"] == error["correlationId"] == "req-1"
    assert answer.headers["content-type"] == "application/json"
    assert error["details"] == {"retryable": False, "hint": error["details"]["hint"]}


async def test_a_wrong_method_is_told_the_right_ones(api: Running) -> None:
    answer = await api.http.put("/api/jobs")
    assert "POST" in answer.headers["allow"]


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize("request_id", ["a", "A-1.b_c:d@e/f+g=", "x" * 128])
def test_a_safe_request_id_is_taken_over(request_id: str) -> None:
    assert correlation_id_for(request_id) == request_id


@pytest.mark.parametrize("request_id", ["", " ", "a b", "x" * 129, "a\n", "<b>", "ü", "a;b", '"'])
def test_an_unsafe_request_id_is_replaced(request_id: str) -> None:
    assert correlation_id_for(request_id) not in {request_id, correlation_id_for(request_id)}


TRACE, SPAN = "1" * 32, "2" * 16


@pytest.mark.parametrize(
    "header",
    ["", "00-x", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{'A' * 32}-{SPAN}-01"],
)
def test_a_broken_traceparent_is_not_passed_on(header: str) -> None:
    assert valid_traceparent(header) is None


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/schema", "/api/jobs/x"])
async def test_every_answer_has_an_id_and_the_security_headers(api: Running, path: str) -> None:
    headers = (await api.http.get(path)).headers
    assert headers["x-correlation-id"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert "server" not in headers


async def test_an_unexpected_error_shows_nothing_of_its_insides(api: Running) -> None:
    with patch.object(type(api.to.store), "history", side_effect=KeyError("postgresql://secret")):
        answer = await api.http.get("/api/jobs/00000000-0000-4000-8000-000000000000", headers={"x-request-id": "req-2"})
    assert code_of(answer) == (500, "INTERNAL", None)
    assert "secret" not in answer.text
    assert answer.json()["error"]["correlationId"] == "req-2"


async def test_an_error_that_even_the_framework_lets_through_is_in_the_envelope(api: Running) -> None:
    with patch("services.api.problems.STATUS", {}):
        answer = await api.http.get("/nothing")
    assert code_of(answer) == (500, "INTERNAL", None)


async def test_requests_are_counted_by_their_route_never_by_their_path(api: Running) -> None:
    before = await api.counted("clip_http_request_seconds_count", route="/api/jobs/{job_id}")
    await api.http.get("/api/jobs/one")
    await api.http.get("/api/jobs/two")
    await api.http.get("/no/such/path")
    await api.http.request("BREW", "/healthz")
    assert await api.counted("clip_http_request_seconds_count", route="/api/jobs/{job_id}") == before + 2
    assert await api.counted("clip_http_requests_total", method="GET", route="unmatched", status="404") >= 1
    assert await api.counted("clip_http_requests_total", method="OTHER", route="unmatched", status="405") >= 1
    assert "such/path" not in (await api.http.get("/metrics")).text


async def test_jobs_are_counted_by_source_and_priority(api: Running) -> None:
    before = await api.counted("clip_jobs_created_total", source="upload", priority="fast")
    await created(api, priority="fast")
    assert await api.counted("clip_jobs_created_total", source="upload", priority="fast") == before + 1


async def test_metrics_can_be_kept_to_the_internal_port(api: Running) -> None:
    async with running(api.environ, METRICS_ON_API_PORT="false") as (http, _):
        assert code_of(await http.get("/metrics")) == (404, "NOT_FOUND", None)


async def test_a_client_that_leaves_in_the_middle_is_counted_as_gone(api: Running) -> None:
    gone = {"method": "POST", "route": "/api/uploads", "status": "499"}
    internal = await api.counted("clip_http_problems_total", code="INTERNAL")
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    writer.write(b"POST /api/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await reader.read()
    async with asyncio.timeout(20):
        while await api.counted("clip_http_requests_total", **gone) == 0:
            await asyncio.sleep(0.01)
    assert await api.counted("clip_http_problems_total", code="INTERNAL") == internal
