"""Idempotency-Key: one job however often it is sent, and no other request's answer."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx

from tests.api.conftest import Running
from tests.api.forms import END, RANGE, TYPE, file, part
from tests.api.test_jobs import code_of, uploaded_key


async def sent(api: Running, key: str, body: dict[str, Any]) -> httpx.Response:
    return await api.http.post("/api/jobs", json=body, headers={"idempotency-key": key})


async def order(api: Running) -> dict[str, Any]:
    return {"sourceType": "upload", "uploadKey": await uploaded_key(api), "start": 1, "end": 3}


async def test_fifty_at_once_make_one_job(api: Running) -> None:
    key, body = str(uuid4()), await order(api)
    answers = await asyncio.gather(*(sent(api, key, body) for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    for refused in (answer for answer in answers if answer.status_code == 409):
        assert code_of(refused)[1] == "CONFLICT"
        assert int(refused.headers["retry-after"]) >= 1
    answers.append(await sent(api, key, body))
    made = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.json()["job"]["id"] for answer in made}) == 1
    assert {answer.content for answer in made} == {made[0].content}
    assert {answer.headers["location"] for answer in made} == {made[0].headers["location"]}
    assert made[-1].headers["idempotency-replayed"] == "true"
    count = await api.to.pool.fetchval("SELECT count(*) FROM job_events WHERE envelope -> 'event' ->> 'uploadKey' = $1", body["uploadKey"])
    assert count == 1


async def test_another_request_with_the_same_key_is_refused(api: Running) -> None:
    key, body = str(uuid4()), await order(api)
    first = await sent(api, key, body)
    assert code_of(await sent(api, key, {**body, "end": 4}))[:2] == (422, "IDEMPOTENCY_KEY_REUSED")
    assert code_of(await api.http.post(f"{first.headers['location']}/retry", headers={"idempotency-key": key}))[:2] == (
        422,
        "IDEMPOTENCY_KEY_REUSED",
    )
    written_otherwise = {**dict(reversed(body.items())), "priority": "normal"}
    assert (await sent(api, key, written_otherwise)).json() == first.json()


async def test_a_refused_request_does_not_use_the_key_up(api: Running) -> None:
    key, body = str(uuid4()), await order(api)
    assert (await sent(api, key, {**body, "uploadKey": f"uploads/{uuid4()}/gone.mp4"})).status_code == 400
    assert (await sent(api, key, body)).status_code == 202


async def test_a_key_that_is_none_is_refused(api: Running) -> None:
    for key in (b"with spaces", b"x" * 256, "ü".encode(), b""):
        answer = await api.http.post("/api/jobs", json=await order(api), headers=[(b"idempotency-key", key)])
        assert code_of(answer) == (400, "VALIDATION_FAILED", "Idempotency-Key")


async def test_a_key_whose_process_died_gives_the_job_that_it_had_begun(api: Running) -> None:
    key, body = str(uuid4()), await order(api)
    first = (await sent(api, key, body)).json()["job"]["id"]
    await api.to.pool.execute("UPDATE idempotency_keys SET answer = NULL WHERE key = $1", key)
    assert code_of(await sent(api, key, body))[:2] == (409, "CONFLICT")
    await api.to.pool.execute("UPDATE idempotency_keys SET claimed_at = now() - interval '11 s' WHERE key = $1", key)
    assert (await sent(api, key, body)).json()["job"]["id"] == first


async def test_a_key_is_free_again_after_a_day(api: Running) -> None:
    key, body = str(uuid4()), await order(api)
    first = (await sent(api, key, body)).json()["job"]["id"]
    await api.to.pool.execute("UPDATE idempotency_keys SET claimed_at = now() - interval '25 h' WHERE key = $1", key)
    assert (await sent(api, key, {**body, "end": 4})).json()["job"]["id"] != first


async def test_an_upload_sent_again_is_the_same_job_by_its_bytes_and_fields(api: Running) -> None:
    headers = {**TYPE, "idempotency-key": str(uuid4())}
    first = await api.http.post("/api/jobs/upload", content=RANGE + file() + END, headers=headers)
    kept = await api.uploads()
    again = await api.http.post("/api/jobs/upload", content=file() + RANGE + END, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert await api.uploads() == kept
    other = await api.http.post("/api/jobs/upload", content=RANGE + file(b"other pictures") + END, headers=headers)
    assert code_of(other)[:2] == (422, "IDEMPOTENCY_KEY_REUSED")
    more = await api.http.post("/api/jobs/upload", content=RANGE + part("priority", "bulk") + file() + END, headers=headers)
    assert code_of(more)[:2] == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await api.uploads() == kept
