"""Uploads past the API: the ticket, what is put with it, resuming, completing, deleting, and the jobs made of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.runtime.embedded import LocalServers
from services.api.upload_plan import MIB
from tests.api.conftest import Running, running
from tests.api.test_jobs import code_of
from tests.janitor.steps import ago
from tests.uploading import whole_upload

FILE = b"moving pictures"
WISH = {"filename": "My talk.mp4", "size": len(FILE), "contentType": "video/mp4"}
LARGE = os.urandom(20 * MIB)
IN_PARTS = {"filename": "large.mp4", "size": len(LARGE), "contentType": "video/mp4", "parts": True}
Json = dict[str, Any]


@pytest.fixture
async def anybody() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def ticket_for(api: Running, wish: Json) -> Json:
    answer = await api.http.post("/api/uploads", json=wish)
    assert answer.status_code == 200, answer.text
    ticket: Json = answer.json()
    return ticket


def id_of(ticket: Json) -> str:
    return str(ticket["uploadKey"].split("/")[1])


async def put(anybody: httpx.AsyncClient, ticket: Json, content: bytes = FILE) -> int:
    headers = {"Content-Type": ticket["headers"]["Content-Type"]}  # and the true length, by itself
    return (await anybody.request(ticket["method"], ticket["url"], headers=headers, content=content)).status_code


async def put_part(anybody: httpx.AsyncClient, part: Json, *, of: Json) -> bool:
    """Whether S3 took it. rclone breaks the connection when it refuses a long body."""
    start = (part["number"] - 1) * of["partSize"]
    body = LARGE[start : start + part["size"]]
    try:
        answer = await anybody.put(part["url"], headers={"Content-Type": "video/mp4"}, content=body)
    except httpx.TransportError:
        return False
    assert answer.status_code in {200, 403, 404}
    return answer.status_code == 200


async def state_of(api: Running, ticket: Json) -> Json:
    answer = await api.http.get(f"/api/uploads/{id_of(ticket)}")
    assert answer.status_code == 200, answer.text
    state: Json = answer.json()
    return state


async def completed(api: Running, ticket: Json) -> httpx.Response:
    return await api.http.post(f"/api/uploads/{id_of(ticket)}/complete")


async def job_on(http: httpx.AsyncClient, key: str) -> httpx.Response:
    return await http.post("/api/jobs", json={"sourceType": "upload", "uploadKey": key, "start": 0, "end": 1})


async def test_a_ticket_uploads_one_file_and_its_key_makes_a_job(api: Running, anybody: httpx.AsyncClient) -> None:
    answer = await api.http.post("/api/uploads", json=WISH)
    ticket = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert set(ticket) == {"uploadKey", "url", "method", "headers", "expiresAt"}
    assert ticket["uploadKey"].endswith("/My_talk.mp4")
    assert timedelta(seconds=890) < datetime.fromisoformat(ticket["expiresAt"]) - datetime.now(UTC) <= timedelta(seconds=900)
    refused = await job_on(api.http, ticket["uploadKey"])
    assert code_of(refused) == (400, "VALIDATION_FAILED", "uploadKey")
    assert refused.json()["error"]["message"] == "the upload is not complete: the file has not been sent yet"
    assert await put(anybody, ticket) == 200
    assert (await job_on(api.http, ticket["uploadKey"])).status_code == 202
    assert await api.to.objects.sources.read(ticket["uploadKey"], 0, 100) == FILE


async def test_what_a_job_uses_can_not_be_changed_by_the_ticket(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, WISH)
    assert await put(anybody, ticket) == 200
    assert (await job_on(api.http, ticket["uploadKey"])).status_code == 202
    pinned = await api.to.objects.sources.head(ticket["uploadKey"])
    assert await put(anybody, ticket, FILE[::-1]) == 404
    assert await api.to.objects.sources.head(ticket["uploadKey"]) == pinned
    assert await api.to.objects.sources.read(ticket["uploadKey"], 0, 100) == FILE


async def test_a_ticket_takes_no_other_size_type_or_key(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, WISH)
    other = await ticket_for(api, WISH)
    assert await put(anybody, ticket, FILE * 2) == 403
    assert await put(anybody, ticket | {"headers": ticket["headers"] | {"Content-Type": "text/html"}}) == 403
    assert await put(anybody, ticket | {"url": ticket["url"].replace(id_of(ticket), id_of(other))}) == 403
    assert (await state_of(api, ticket))["received"] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": 301 * 1024 * 1024}, (413, "INPUT_TOO_LARGE", "size")),
        ({"size": 0}, (400, "VALIDATION_FAILED", "size")),
        ({"size": None}, (400, "VALIDATION_FAILED", "size")),
        ({"size": 1 << 70}, (413, "INPUT_TOO_LARGE", "size")),
        ({"contentType": "video/mp4\r\nx-evil: 1"}, (400, "VALIDATION_FAILED", "contentType")),
        ({"bucket": "other"}, (400, "VALIDATION_FAILED", "bucket")),
    ],
)
async def test_a_wish_that_can_not_be_met_is_refused(
    api: Running, change: dict[str, object], expected: tuple[int, str, str | None]
) -> None:
    assert code_of(await api.http.post("/api/uploads", json=WISH | change)) == expected


async def test_a_file_over_64_mib_gets_parts_unasked(api: Running) -> None:
    ticket = await ticket_for(api, {"size": 64 * MIB + 1})
    assert set(ticket) == {"uploadKey", "uploadId", "method", "partSize", "parts", "expiresAt"}
    assert [(part["number"], part["size"]) for part in ticket["parts"]] == [*((n, 8 * MIB) for n in range(1, 9)), (9, 1)]
    assert ticket["uploadId"] == id_of(ticket)


async def test_an_upload_that_broke_off_goes_on_with_what_is_missing(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, IN_PARTS)
    assert await put_part(anybody, ticket["parts"][1], of=ticket)
    state = await state_of(api, ticket)
    assert (state["state"], state["received"], [part["number"] for part in state["parts"]]) == ("uploading", [2], [1, 3])
    early = await completed(api, ticket)
    assert code_of(early) == (409, "INVALID_STATE", None)
    assert "parts 1, 3 of 3 are missing" in early.json()["error"]["message"]
    refused = await job_on(api.http, ticket["uploadKey"])
    assert code_of(refused) == (400, "VALIDATION_FAILED", "uploadKey")
    assert "parts 1, 3 of 3 are missing" in refused.json()["error"]["message"]
    for part in state["parts"]:
        assert await put_part(anybody, part, of=ticket)
    state = await state_of(api, ticket)
    assert (state["state"], state["received"], state["parts"]) == ("uploading", [1, 2, 3], [])
    whole = (await completed(api, ticket)).json()
    assert (whole["state"], whole["received"], whole["parts"]) == ("complete", [1, 2, 3], [])
    assert await api.to.objects.sources.read(ticket["uploadKey"], 0, len(LARGE)) == LARGE
    kept = datetime.fromisoformat(whole["keptUntil"]) - datetime.now(UTC)
    assert timedelta(hours=71.9) < kept <= timedelta(hours=72)


async def test_a_large_upload_takes_no_part_once_it_is_complete(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, IN_PARTS)
    first, second, last = ticket["parts"]
    assert await put_part(anybody, second | {"url": first["url"]}, of=ticket)  # of the same size, and so only the first
    assert (await state_of(api, ticket))["received"] == [1]
    assert not await put_part(anybody, last | {"url": first["url"]}, of=ticket)
    ticket = await ticket_for(api, IN_PARTS)
    assert [await put_part(anybody, part, of=ticket) for part in ticket["parts"]] == [True] * 3
    assert (await completed(api, ticket)).status_code == 200
    assert [await put_part(anybody, part, of=ticket) for part in ticket["parts"]] == [False] * 3
    assert await api.to.objects.sources.read(ticket["uploadKey"], 0, len(LARGE)) == LARGE


async def test_completing_twenty_times_at_once_is_harmless(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, IN_PARTS)
    for part in ticket["parts"]:
        await put_part(anybody, part, of=ticket)
    answers = await asyncio.gather(
        *(completed(api, ticket) for _ in range(10)), *(job_on(api.http, ticket["uploadKey"]) for _ in range(10))
    )
    assert [answer.status_code for answer in answers] == [200] * 10 + [202] * 10
    assert len({answer.text for answer in answers[:10]}) == 1
    assert (await completed(api, ticket)).text == answers[0].text


async def test_a_completion_that_died_before_its_row_was_written_is_found_done(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, WISH)
    await put(anybody, ticket)
    uploads = api.to.objects.sources.client_uploads
    key, multipart_id = (
        ticket["uploadKey"],
        await api.to.pool.fetchval("SELECT multipart_id FROM uploads WHERE key = $1", ticket["uploadKey"]),
    )
    assert await uploads.complete(key, multipart_id, await uploads.parts(key, multipart_id) or ())
    assert (await state_of(api, ticket))["state"] == "complete"


async def test_an_upload_that_is_complete_is_used_without_asking_s3(api: Running) -> None:
    key = await whole_upload(api.to, FILE)
    async with running(api.environ, S3_ENDPOINT_URL="http://127.0.0.1:9", STORAGE_UPLOAD_ATTEMPTS="1") as (http, _):
        assert (await job_on(http, key)).status_code == 202


async def test_an_upload_that_the_store_lost_says_to_begin_again(api: Running, anybody: httpx.AsyncClient, local: LocalServers) -> None:
    ticket = await ticket_for(api, WISH)
    await local.s3.kill()
    await local.s3.start()
    answers = await asyncio.gather(
        api.http.get(f"/api/uploads/{id_of(ticket)}"), completed(api, ticket), job_on(api.http, ticket["uploadKey"])
    )
    assert [code_of(answer) for answer in answers] == [(410, "GONE", None)] * 2 + [(400, "VALIDATION_FAILED", "uploadKey")]
    assert await put(anybody, ticket) == 404


async def test_a_deleted_upload_is_gone_and_takes_nothing(api: Running, anybody: httpx.AsyncClient) -> None:
    begun, whole = await ticket_for(api, WISH), await ticket_for(api, WISH)
    await put(anybody, whole)
    await completed(api, whole)
    for ticket in (begun, whole):
        path = f"/api/uploads/{id_of(ticket)}"
        assert (await api.http.delete(path)).json()["state"] == "deleted"
        assert await put(anybody, ticket) == 404
        assert await api.to.objects.sources.head(ticket["uploadKey"]) is None
        for answer in (await api.http.delete(path), await api.http.get(path), await completed(api, ticket)):
            assert code_of(answer) == (404, "NOT_FOUND", None)
        assert code_of(await job_on(api.http, ticket["uploadKey"])) == (400, "VALIDATION_FAILED", "uploadKey")


async def test_an_upload_that_a_job_uses_stays(api: Running, anybody: httpx.AsyncClient) -> None:
    ticket = await ticket_for(api, WISH)
    await put(anybody, ticket)
    assert (await job_on(api.http, ticket["uploadKey"])).status_code == 202
    assert code_of(await api.http.delete(f"/api/uploads/{id_of(ticket)}")) == (409, "INVALID_STATE", None)
    assert (await state_of(api, ticket))["state"] == "complete"
    assert await api.to.objects.sources.head(ticket["uploadKey"])


async def test_an_upload_of_another_tenant_is_as_one_that_is_not_there(api: Running) -> None:
    key = await whole_upload(api.to, FILE, tenant="somebody else")
    there, nowhere = key.split("/")[1], str(uuid4())
    for method, path in (("GET", "/api/uploads/{}"), ("POST", "/api/uploads/{}/complete"), ("DELETE", "/api/uploads/{}")):
        foreign, unknown = [await api.http.request(method, path.format(each)) for each in (there, nowhere)]
        assert code_of(foreign) == code_of(unknown) == (404, "NOT_FOUND", None)
        assert foreign.json()["error"]["message"] == unknown.json()["error"]["message"]
    for route in ("/api/jobs", "/api/probe"):
        asked = [{"sourceType": "upload", "uploadKey": each, "start": 0, "end": 1} for each in (key, f"uploads/{nowhere}/talk.mp4")]
        foreign, unknown = [await api.http.post(route, json=body) for body in asked]
        assert code_of(foreign) == code_of(unknown) == (400, "VALIDATION_FAILED", "uploadKey")
        assert foreign.json()["error"]["message"] == unknown.json()["error"]["message"]
    assert await api.to.objects.sources.head(key)


@pytest.mark.parametrize("upload_id", ["nothing", "0", "%00", "a" * 5000, "%2e%2e", "{}"])
async def test_what_is_no_id_is_no_upload(api: Running, upload_id: str) -> None:
    assert (await api.http.get(f"/api/uploads/{upload_id}")).status_code == 404


async def test_an_upload_whose_time_is_up_is_none_any_more(api: Running) -> None:
    key = await whole_upload(api.to, FILE)
    await api.to.pool.execute("UPDATE uploads SET expires_at = $2 WHERE key = $1", key, ago(1))
    assert (await api.http.get(f"/api/uploads/{key.split('/')[1]}")).status_code == 404
    assert code_of(await job_on(api.http, key)) == (400, "VALIDATION_FAILED", "uploadKey")
