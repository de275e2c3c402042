"""Uploads where keys are on: whose they are, and what a key that may only read is told."""

from collections.abc import AsyncIterator

import httpx
import pytest

from libs.common.runtime.service import Connections
from services.api.caller import Scope
from tests.api.conftest import Running
from tests.api.keyed import client, keyed
from tests.api.test_jobs import code_of

WISH = {"size": 5, "contentType": "video/mp4"}


Guarded = tuple[httpx.AsyncClient, Connections]


@pytest.fixture(scope="module")
async def guarded(api: Running) -> AsyncIterator[Guarded]:
    async with keyed(api) as (http, to):
        yield http, to


async def test_an_upload_is_its_tenants_alone(guarded: Guarded) -> None:
    http, to = guarded
    own, shared, other = [await client(to.pool, tenant=tenant) for tenant in ("ours", "ours", "theirs")]
    ticket = (await http.post("/api/uploads", json=WISH, headers=own.headers)).json()
    path = f"/api/uploads/{ticket['uploadKey'].split('/')[1]}"
    job = {"sourceType": "upload", "uploadKey": ticket["uploadKey"], "start": 0, "end": 1}
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.put(ticket["url"], headers=ticket["headers"], content=b"12345")).status_code == 200
    for method, call in (("GET", path), ("POST", f"{path}/complete"), ("DELETE", path)):
        assert code_of(await http.request(method, call, headers=other.headers)) == (404, "NOT_FOUND", None)
        assert code_of(await http.request(method, call)) == (401, "UNAUTHORIZED", None)
    for route in ("/api/jobs", "/api/probe"):
        assert code_of(await http.post(route, json=job, headers=other.headers)) == (400, "VALIDATION_FAILED", "uploadKey")
    assert (await http.post("/api/jobs", json=job, headers=shared.headers)).status_code == 202
    assert (await http.get(path, headers=shared.headers)).json()["state"] == "complete"


async def test_a_key_that_may_only_read_is_told_what_is_there_and_no_urls(guarded: Guarded) -> None:
    http, to = guarded
    writer = await client(to.pool, tenant="ours")
    reader = await client(to.pool, Scope.READ, tenant="ours")
    ticket = (await http.post("/api/uploads", json=WISH, headers=writer.headers)).json()
    path = f"/api/uploads/{ticket['uploadKey'].split('/')[1]}"
    seen = await http.get(path, headers=reader.headers)
    assert (seen.status_code, seen.json()["parts"]) == (200, [{"number": 1, "size": 5}])
    assert "Signature" not in seen.text
    assert "url" in (await http.get(path, headers=writer.headers)).json()["parts"][0]
    for method, call in (("POST", f"{path}/complete"), ("DELETE", path)):
        assert code_of(await http.request(method, call, headers=reader.headers)) == (403, "FORBIDDEN", None)
