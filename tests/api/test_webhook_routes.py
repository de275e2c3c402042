"""Webhooks over HTTP, in a whole API: secrets, jobs that name a URL, the log of what was told, and telling it again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from libs.common.domain.events import Envelope, JobCancelled, JobExpired, JobFailed, StageName
from libs.common.runtime.service import Connections
from libs.common.runtime.settings import Secret
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from services.api.read_model import ReadModel
from services.api.webhooks.outbox import enqueue
from tests.api.conftest import Running, running
from tests.api.test_jobs import code_of
from tests.api.webhook_post import LOOPBACK, PEPPER, Receiver, receiving
from tests.builders import envelope, started, uploaded

ON = {"API_SECRET": PEPPER.reveal(), "ALLOWLIST_NETWORKS": LOOPBACK, "WEBHOOK_ALLOW_HTTP": "true", "ENABLE_YTDLP": "true"}
JOB = {"sourceType": "youtube", "youtubeUrl": "https://www.youtube.com/watch?v=abcdefghijk", "start": 1, "end": 3}


@dataclass(frozen=True)
class Client:
    """A client that can be called back, and what is behind the API."""

    http: httpx.AsyncClient
    to: Connections

    async def json(self, method: str, path: str, status: int = 200, **given: Any) -> Any:
        answer = await self.http.request(method, path, **given)
        assert answer.status_code == status, answer.text
        assert answer.json()["correlationId"] == answer.headers["x-correlation-id"]
        return answer.json()

    async def secret(self) -> str:
        return str((await self.json("POST", "/api/webhooks/secrets", 201))["secret"]["secret"])

    async def job(self, url: str) -> UUID:
        return UUID((await self.json("POST", "/api/jobs", 202, json=JOB | {"callbackUrl": url}))["job"]["id"])

    async def happened(self, *events: Envelope) -> None:
        for event in events:
            await self.to.store.append(event)

    async def told(self, job: UUID, state: str) -> dict[str, Any]:
        """The job's one webhook, when it has come to this state."""
        async with asyncio.timeout(40):
            while True:
                found = (await self.json("GET", f"/api/jobs/{job}/webhooks"))["deliveries"]
                if [one["state"] for one in found] == [state]:
                    return dict(found[0])
                await asyncio.sleep(0.05)


@asynccontextmanager
async def calling(api: Running, database: str, *receivers: Receiver, **changes: str) -> AsyncIterator[Client]:
    ports = ",".join(["80", "443", *(str(urlsplit(one.url).port) for one in receivers)])
    async with running({**api.environ, "DATABASE_URL": database}, **{**ON, "ALLOWLIST_PORTS": ports, **changes}) as (http, to):
        await to.health.until_up()
        await to.pool.execute("TRUNCATE webhook_secrets, webhook_deliveries")
        yield Client(http, to)


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(200) as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def whole(api: Running, webhook_database: str, receiver: Receiver) -> AsyncIterator[Client]:
    async with calling(api, webhook_database, receiver) as client:
        yield client


@pytest.fixture
async def client(whole: Client) -> Client:
    await whole.to.pool.execute("TRUNCATE webhook_secrets, webhook_deliveries")
    return whole


async def test_a_client_is_told_of_its_jobs_ends_by_what_it_can_verify(client: Client, receiver: Receiver) -> None:
    receiver.reset(204)
    secret = await client.secret()
    jobs = [await client.job(receiver.url) for _ in range(3)]
    await client.happened(
        envelope(uploaded(), jobs[0]),
        envelope(JobFailed(stage=StageName.RESOLVER, code="SOURCE_UNREADABLE", message="no"), jobs[1]),
        envelope(JobCancelled(by="client"), jobs[2]),
    )
    for job in jobs:
        await client.told(job, "delivered")
    told = [Webhook(secret).verify(heard.body, heard.headers) for heard in receiver.heard]
    assert {(one["type"], one["data"]["id"]) for one in told} == {
        ("job.done", str(jobs[0])),
        ("job.failed", str(jobs[1])),
        ("job.cancelled", str(jobs[2])),
    }
    for one in told:
        read = (await client.json("GET", f"/api/jobs/{one['data']['id']}"))["job"]
        assert one["data"] == read
    assert await _attempted(client) >= 3


async def _attempted(client: Client) -> float:
    text = (await client.http.get("/metrics")).text
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith('clip_webhook_attempts_total{outcome="delivered"}')
    )


async def test_the_log_says_what_came_of_each_attempt_and_a_client_may_ask_for_another(client: Client, receiver: Receiver) -> None:
    receiver.reset(410, 200)
    await client.secret()
    job = await client.job(receiver.url)
    await client.happened(envelope(uploaded(), job))
    delivery = await client.told(job, "stopped")
    assert {name: delivery[name] for name in ("type", "run")} == {"type": "job.done", "run": 1}
    (attempt,) = delivery["attempts"]
    assert set(attempt) == {"at", "status", "milliseconds"}
    path = f"/api/jobs/{job}/webhooks/{delivery['id']}/redeliver"
    assert (await client.json("POST", path, 202))["delivery"]["state"] == "pending"
    again = await client.told(job, "delivered")
    assert [one["status"] for one in again["attempts"]] == [410, 200]
    assert {heard.id for heard in receiver.heard} == {delivery["id"]}
    for unknown in (f"/api/jobs/{uuid4()}/webhooks/{delivery['id']}/redeliver", f"/api/jobs/{job}/webhooks/{uuid4()}/redeliver"):
        assert (await client.http.post(unknown)).status_code == 404
    assert (await client.http.post(f"/api/jobs/{job}/webhooks/junk/redeliver")).status_code == 404


async def test_secrets_are_shown_once_two_are_live_and_any_can_be_ended(client: Client) -> None:
    made = [(await client.json("POST", "/api/webhooks/secrets", 201))["secret"] for _ in range(3)]
    assert len({one["secret"] for one in made}) == 3
    listed = (await client.json("GET", "/api/webhooks/secrets"))["secrets"]
    assert [one["id"] for one in listed] == [made[2]["id"], made[1]["id"]]
    assert [set(one) for one in listed] == [{"id", "createdAt"}, {"id", "createdAt", "expiresAt"}]
    left = (await client.json("DELETE", f"/api/webhooks/secrets/{made[1]['id']}"))["secrets"]
    assert [one["id"] for one in left] == [made[2]["id"]]
    for gone in (made[0]["id"], made[1]["id"], str(uuid4()), "junk"):
        assert code_of(await client.http.delete(f"/api/webhooks/secrets/{gone}")) == (404, "NOT_FOUND", None)
    stored = await client.to.pool.fetch("SELECT row_to_json(s)::text AS text FROM webhook_secrets s")
    assert not any(one["secret"].removeprefix("whsec_") in row["text"] for one in made for row in stored)


async def test_when_the_newest_secret_is_ended_the_one_before_it_goes_on_without_an_end(client: Client) -> None:
    old, new = [(await client.json("POST", "/api/webhooks/secrets", 201))["secret"]["id"] for _ in range(2)]
    (left,) = (await client.json("DELETE", f"/api/webhooks/secrets/{new}"))["secrets"]
    assert (left["id"], set(left)) == (old, {"id", "createdAt"})
    newer = await client.json("POST", "/api/webhooks/secrets", 201)
    listed = (await client.json("GET", "/api/webhooks/secrets"))["secrets"]
    assert [(one["id"], "expiresAt" in one) for one in listed] == [(newer["secret"]["id"], False), (old, True)]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://169.254.169.254/", (403, "SSRF_BLOCKED", "callbackUrl")),
        ("http://10.0.0.1/", (403, "SSRF_BLOCKED", "callbackUrl")),
        ("https://me:word@receiver.org/", (403, "SSRF_BLOCKED", "callbackUrl")),
        ("https://receiver.org:25/", (403, "SSRF_BLOCKED", "callbackUrl")),
        ("mailto:me@receiver.org", (400, "VALIDATION_FAILED", "callbackUrl")),
        ("https://receiver.org/" + "x" * 2048, (400, "VALIDATION_FAILED", "callbackUrl")),
    ],
)
async def test_a_url_that_can_not_be_called_back_is_refused_with_the_job(client: Client, url: str, expected: tuple[int, str, str]) -> None:
    await client.secret()
    assert code_of(await client.http.post("/api/jobs", json=JOB | {"callbackUrl": url})) == expected


async def test_plain_http_needs_the_operators_leave(api: Running, webhook_database: str) -> None:
    async with calling(api, webhook_database, WEBHOOK_ALLOW_HTTP="false") as client:
        await client.secret()
        refused = await client.http.post("/api/jobs", json=JOB | {"callbackUrl": "http://receiver.org/"})
        assert code_of(refused) == (400, "VALIDATION_FAILED", "callbackUrl")
        assert await client.job("https://receiver.org/")


async def test_a_job_that_could_not_be_signed_for_is_refused_with_what_to_do(client: Client) -> None:
    refused = await client.http.post("/api/jobs", json=JOB | {"callbackUrl": "https://receiver.org/"})
    assert code_of(refused) == (400, "VALIDATION_FAILED", "callbackUrl")
    assert "POST /api/webhooks/secrets" in refused.json()["error"]["details"]["hint"]
    await client.secret()
    assert await client.job("https://receiver.org/")


async def test_without_a_secret_of_the_operators_there_are_no_webhooks_and_it_is_said(api: Running, webhook_database: str) -> None:
    async with calling(api, webhook_database, API_SECRET="") as client:
        refused = await client.http.post("/api/jobs", json=JOB | {"callbackUrl": "https://receiver.org/"})
        assert code_of(refused) == (400, "VALIDATION_FAILED", "callbackUrl")
        assert "API_SECRET" in refused.json()["error"]["details"]["hint"]
        for method, path in (("POST", ""), ("GET", ""), ("DELETE", f"/{uuid4()}")):
            answer = await client.http.request(method, f"/api/webhooks/secrets{path}")
            assert code_of(answer) == (409, "INVALID_STATE", None)


async def test_a_tenant_sees_and_signs_with_what_is_its_own_alone(api: Running, webhook_database: str, receiver: Receiver) -> None:
    receiver.reset(200)
    async with calling(api, webhook_database, receiver, ENABLE_API_KEYS="true") as client:
        mine, theirs = [await _tenant(client, name) for name in ("mine", "theirs")]
        secret = await mine.secret()
        refused = await theirs.http.post("/api/jobs", json=JOB | {"callbackUrl": receiver.url})
        assert code_of(refused) == (400, "VALIDATION_FAILED", "callbackUrl")
        other = await theirs.secret()
        job = await mine.job(receiver.url)
        await mine.happened(envelope(uploaded(), job))
        delivery = await mine.told(job, "delivered")
        (heard,) = receiver.heard
        assert Webhook(secret).verify(heard.body, heard.headers)["data"]["id"] == str(job)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(other).verify(heard.body, heard.headers)
        assert (await theirs.http.get(f"/api/jobs/{job}/webhooks")).status_code == 404
        assert (await theirs.http.post(f"/api/jobs/{job}/webhooks/{delivery['id']}/redeliver")).status_code == 404
        (own,) = (await mine.json("GET", "/api/webhooks/secrets"))["secrets"]
        assert (await theirs.http.delete(f"/api/webhooks/secrets/{own['id']}")).status_code == 404
        await asyncio.gather(mine.http.aclose(), theirs.http.aclose())


async def _tenant(client: Client, name: str) -> Client:
    wish = KeyWish(name=name, tenant=name, scopes=frozenset({Scope.WRITE, Scope.READ}))
    credentials, _ = await KeyStore(client.to.pool, Pepper(Secret(ON["API_SECRET"]))).create(wish)
    headers = {"authorization": f"Bearer {credentials.written.reveal()}"}
    return Client(httpx.AsyncClient(base_url=client.http.base_url, headers=headers), client.to)


async def test_a_url_is_in_no_log_no_metric_and_no_answer(client: Client, receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    receiver.reset(500)
    await client.secret()
    job = await client.job(f"{receiver.url}?token=hush-hush")
    await client.happened(envelope(started(StageName.CLIPPER), job), envelope(uploaded(), job))
    while not (await client.told(job, "pending"))["attempts"]:
        await asyncio.sleep(0.05)
    shown = [(await client.http.get(path)).text for path in (f"/api/jobs/{job}", f"/api/jobs/{job}/webhooks", "/metrics", "/api/jobs")]
    written = capfd.readouterr()
    assert "tries=1" in written.out
    assert not any("hush-hush" in text for text in (*shown, written.out, written.err))


async def test_a_job_that_is_forgotten_takes_its_webhooks_along(client: Client) -> None:
    await client.secret()
    job = await client.job("https://127.0.0.1/")
    await client.happened(envelope(uploaded(), job))
    await client.told(job, "pending")
    await client.happened(envelope(JobExpired(), job))
    async with asyncio.timeout(40):
        while await client.to.pool.fetchval("SELECT count(*) FROM webhook_deliveries"):
            await asyncio.sleep(0.05)
    assert (await client.http.get(f"/api/jobs/{job}/webhooks")).status_code == 410


async def test_the_lists_made_anew_tell_nobody_again(client: Client, receiver: Receiver) -> None:
    receiver.reset(200)
    await client.secret()
    job = await client.job(receiver.url)
    await client.happened(envelope(uploaded(), job))
    await client.told(job, "delivered")
    model = ReadModel(client.to.pool, client.to.store, enqueue)
    await model.project([job])
    (delivery,) = (await client.json("GET", f"/api/jobs/{job}/webhooks"))["deliveries"]
    assert (delivery["state"], len(receiver.heard)) == ("delivered", 1)
