"""Bodies that are too large, too deep or of no kind that we take: refused in the envelope, on every route, and never held in memory."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.conftest import Running
from tests.api.keyed import KEYED, client, keyed
from tests.api.test_jobs import code_of
from tests.api.test_process import MIB, started

ROUTES = [("POST", "/api/jobs"), ("POST", "/api/uploads"), ("POST", "/api/probe"), ("PUT", "/api/jobs/x/subtitles")]
LARGE = 10 * MIB
JSON = {"content-type": "application/json"}
DEEP = 10_000


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Without a content-length."""
    for _ in range(size // 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_body_that_is_too_large_is_refused_with_its_length_and_without(api: Running, method: str, path: str) -> None:
    for body in (b" " * LARGE, chunks(LARGE)):
        answer = await api.http.request(method, path, content=body, headers=JSON)
        assert code_of(answer) == (413, "INPUT_TOO_LARGE", None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"metadata":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        b'{"sourceType":"upload","segments":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"start":1e999,"end":' + b"9" * 50_000 + b"}",
        b'"' + b"\\u0000" * 10_000 + b'"',
        json.dumps({"a" * 60_000: 1}).encode(),
        b"",
        b"\xff\xfe",
        b"null",
    ],
)
@pytest.mark.parametrize(("method", "path"), ROUTES[:3])
async def test_a_body_that_is_deep_or_odd_is_refused(api: Running, method: str, path: str, body: bytes) -> None:
    answer = await api.http.request(method, path, content=body, headers=JSON)
    assert answer.status_code == 400, answer.text[:500]
    assert answer.json()["error"]["code"] in {"BAD_REQUEST", "VALIDATION_FAILED"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml; charset=utf-7"]
)
async def test_a_body_of_another_kind_is_refused(api: Running, kind: str) -> None:
    for method, path in ROUTES[:3]:
        answer = await api.http.request(method, path, content=b"start=1&end=2", headers={"content-type": kind})
        assert code_of(answer) == (400, "BAD_REQUEST", None)


async def test_who_may_not_send_a_large_body_still_gets_to_read_why(api: Running) -> None:
    async with keyed(api) as (http, _):
        for body in (b" " * LARGE, chunks(LARGE)):
            assert code_of(await http.post("/api/jobs/upload", content=body)) == (401, "UNAUTHORIZED", None)


async def test_hostile_bodies_cost_no_memory(api: Running) -> None:
    """Less than 20 MB for eight at a time, of each kind (row 37 of the findings)."""
    made = await client(api.to.pool)
    async with started(api, **KEYED, RATE_LIMIT_MAX="0") as (process, http):
        http.headers.update({**JSON, "x-api-key": made.written})
        await _storm(http, 1)
        before = process.peak()
        statuses = await _storm(http, 8)
        assert process.peak() - before < 20 * 1_000_000
    assert statuses == {400, 413}


async def _storm(http: httpx.AsyncClient, count: int) -> set[int]:
    long = b" " * LARGE
    bodies = [body for _ in range(count) for body in (long, chunks(LARGE), b"[" * DEEP, b"not json")]
    answers = await asyncio.gather(*(http.post("/api/jobs", content=body) for body in bodies))
    return {answer.status_code for answer in answers}
