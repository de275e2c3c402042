"""Idempotency-Key: one job however often it is sent, and no other request's answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
from litestar import Request, Response
from msgspec import Raw

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.api.caller import Caller
from services.api.idempotency import IdempotencyKeys, Kept
from services.api.openings import SOONEST_EXPIRY
from tests.api.conftest import Running, running
from tests.api.forms import END, RANGE, TYPE, file, part
from tests.api.keyed import Client, client, keyed, somewhere
from tests.api.test_jobs import code_of, uploaded_key
from tests.builders import envelope, requested
from tests.janitor.steps import until
from tests.uploading import whole_upload


async def sent(api: Running, key: str, body: dict[str, Any]) -> httpx.Response:
    return await api.http.post("/api/jobs", json=body, headers={"idempotency-key": key})


async def died_unanswered(to: Connections, key: str) -> None:
    """What a process leaves that was killed between the commit and the answer."""
    await to.pool.execute("UPDATE idempotency_keys SET answer = NULL, claimed_at = now() - interval '11 s' WHERE key = $1", key)


def ask(key: str) -> Request[Any, Any, Any]:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", key.encode())], "state": {"caller": Caller()}}
    return Request(cast("Any", scope))


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
    await died_unanswered(api.to, key)
    assert (await sent(api, key, body)).json()["job"]["id"] == first


async def test_what_a_dead_process_had_begun_is_answered_in_its_words_whatever_else_is_full_by_now(api: Running) -> None:
    limits = {"MAX_ACTIVE_JOBS_PER_CLIENT": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    async with running(api.environ, **limits) as (http, to):
        for more in ({"start": 1, "end": 3}, {"segments": [{"start": 0, "end": 1}, {"start": 2, "end": 3}]}):
            http.headers.update(somewhere())
            headers, body = {"idempotency-key": str(uuid4())}, {"sourceType": "upload", "uploadKey": await uploaded_key(api), **more}
            first = await http.post("/api/jobs", json=body, headers=headers)
            while (await http.post("/api/jobs", json=body)).status_code == 202:
                pass
            await to.pool.execute("UPDATE uploads SET expires_at = now() WHERE key = $1", body["uploadKey"])
            await died_unanswered(to, headers["idempotency-key"])
            for _ in range(2):
                again = await http.post("/api/jobs", json=body, headers=headers)
                assert (again.status_code, again.content) == (202, first.content)
                assert (again.headers["location"], again.headers["idempotency-replayed"]) == (first.headers["location"], "true")


async def test_a_refusal_does_not_free_the_key_of_a_job_that_came_to_stand_meanwhile(api: Running) -> None:
    keys, job_id = IdempotencyKeys(api.to.pool), uuid4()
    stood: list[Response[Kept]] = []
    request = ask(str(uuid4()))

    async def refused(_: UUID) -> Response[Kept]:
        stood.append(Response(Kept(1, "", Raw(b"{}")), status_code=202, headers={}))  # by another, who was slow
        raise Failure(Code.TOO_MANY_ACTIVE_JOBS, "full")

    async def standing(_: UUID) -> Response[Kept] | None:
        return stood[0] if stood else None

    assert (await keys.once(request, b"", refused, standing)).status_code == 202
    claim = ("", "", str(uuid4()), job_id)
    await api.to.pool.execute("INSERT INTO idempotency_keys VALUES ($1, $2, $3, '', $4, now())", *claim)
    await api.to.store.append(envelope(requested(), job_id))
    await api.to.pool.execute(Statements(api.to.pool, "idempotency.sql", "services.api")["release"], *claim)
    assert await api.to.pool.fetchval("SELECT job_id FROM idempotency_keys WHERE key = $1", claim[2]) == job_id


async def test_an_upload_sent_again_after_its_process_died_is_the_same_job_and_leaves_no_second_file(api: Running) -> None:
    headers = {**TYPE, "idempotency-key": str(uuid4())}
    first = await api.http.post("/api/jobs/upload", content=RANGE + file() + END, headers=headers)
    kept = await api.uploads()
    await died_unanswered(api.to, headers["idempotency-key"])
    again = await api.http.post("/api/jobs/upload", content=RANGE + file() + END, headers=headers)
    assert (again.status_code, again.content, await api.uploads()) == (202, first.content, kept)


async def test_a_time_that_was_far_enough_when_it_was_first_sent_stays_good_for_its_key(api: Running) -> None:
    moment = datetime.now(UTC) + SOONEST_EXPIRY + timedelta(seconds=2)
    key, body = str(uuid4()), {**await order(api), "expiresAt": moment.isoformat()}
    first = await sent(api, key, body)
    assert first.status_code == 202

    async def is_refused_without_it() -> bool:
        return (await api.http.post("/api/jobs", json=body)).status_code == 400

    await until(is_refused_without_it)
    assert (await sent(api, key, body)).content == first.content
    await died_unanswered(api.to, key)
    assert (await sent(api, key, body)).content == first.content


async def test_a_key_is_its_tenants_and_of_no_other(api: Running) -> None:
    async with keyed(api) as (http, to):
        ours, also_ours, theirs = [await client(to.pool, tenant=tenant) for tenant in ("ours", "ours", "theirs")]
        uploads = {tenant: await whole_upload(to, b"pictures", tenant=tenant) for tenant in ("ours", "theirs")}
        key = {"idempotency-key": str(uuid4())}

        async def job_of(who: Client) -> str:
            body = {"sourceType": "upload", "uploadKey": uploads[who.key.tenant], "start": 1, "end": 3}
            answer = await http.post("/api/jobs", json=body, headers={**who.headers, **key})
            return str(answer.json()["job"]["id"])

        first = await job_of(ours)
        assert await job_of(also_ours) == first
        assert await job_of(theirs) != first


async def test_old_keys_are_swept_where_the_api_runs(api: Running) -> None:
    old, young = str(uuid4()), str(uuid4())
    for key in (old, young):
        await sent(api, key, await order(api))
    await api.to.pool.execute("UPDATE idempotency_keys SET claimed_at = now() - interval '25 h' WHERE key = $1", old)

    async def left() -> set[str]:
        return {row["key"] for row in await api.to.pool.fetch("SELECT key FROM idempotency_keys")}

    async def is_swept() -> bool:
        return old not in await left()

    async with running(api.environ):
        await until(is_swept)
    assert young in await left()


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
