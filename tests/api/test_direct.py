"""The direct way answers as the framework's own does. A host with an underscore is Litestar's, all else of a request being the same."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from libs.common.domain.events import JobFailed, StageName
from services.api.direct import Direct
from tests.api.conftest import Running
from tests.builders import history, ready, requested, started, uploaded

FRAMEWORKS = "its_own"
OWN = {"date", "x-correlation-id", "server"}
"""Headers that two equal requests do not share."""
TIMES = r"(?<=correlationId\":\")[0-9a-f-]+|X-Amz-[^\"]+|\"expiresAt\":\"[^\"]+"
"""What two equal answers do not share: ids of requests, and what signs an address."""
BODY = {"sourceType": "upload", "uploadKey": "uploads/nowhere.mp4", "start": 1, "end": 2}
QUERIES = ["/api/jobs", "/api/jobs?limit=0", "/api/jobs?limit=2&status=failed", "/api/jobs?status=lost", "/api/jobs?nonsense=1", "/healthz"]
PATHS = ["", "/result", "/transcript", "/events", "/nothing"]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"{}",
    json.dumps(BODY).encode(),
    json.dumps(BODY | {"end": "x"}).encode(),
    json.dumps(BODY | {"end": 1e9}).encode(),
    b"x" * 200_000,
]
TYPES = ["application/json", "application/json; charset=utf-8", "text/plain", ""]


async def same(api: Running, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
    """Its status, when both ways give one answer."""
    said = []
    for more in ({}, {"host": FRAMEWORKS}):
        answer = await api.http.request(method, path, content=body, headers={**headers, **more})
        own = {name: told for name, told in answer.headers.items() if name not in OWN}
        said.append((method, path, body, answer.status_code, own, re.sub(TIMES, "", answer.text)))
    assert said[0] == said[1]
    return answer.status_code


async def test_the_two_ways_are_two(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    called, asked = Direct._called, []

    async def noted(self: Direct, *what: Any) -> Any:
        asked.append(what)
        return await called(self, *what)

    monkeypatch.setattr(Direct, "_called", noted)
    counts = []
    for headers in ({}, {"host": FRAMEWORKS}):
        assert (await api.http.get("/api/jobs", headers=headers)).status_code == 200
        counts.append(len(asked))
    assert counts == [1, 1]


async def test_what_is_read_is_read_alike(api: Running) -> None:
    done = history(requested(), started(StageName.RESOLVER), ready(), started(StageName.CLIPPER), uploaded())
    broken = history(requested(), started(StageName.RESOLVER), JobFailed(stage=StageName.RESOLVER, code="NOT_FOUND", message="x"))
    known = [await api.knows(*events) for events in (done, broken, history(requested()))]
    found = [await same(api, "GET", f"/api/jobs/{job}{path}") for job in (*known, uuid4(), "no-id") for path in PATHS if path != "/events"]
    found += [await same(api, "GET", query) for query in QUERIES]
    assert set(found) == {200, 400, 404}


@pytest.mark.parametrize("media_type", TYPES)
async def test_what_is_refused_is_refused_alike(api: Running, media_type: str) -> None:
    found = {await same(api, "POST", "/api/jobs", body, **{"content-type": media_type}) for body in BODIES}
    found |= {await same(api, method, f"/api/jobs/{uuid4()}") for method in ("DELETE", "PUT", "PATCH", "HEAD", "OPTIONS")}
    assert found & {400, 413, 415}
    assert min(found - {204}) >= 400
