"""What the API does while something it depends on is away: NATS costs nothing, Postgres and S3 cost a clear answer."""

import asyncio
from uuid import uuid4

from libs.common.runtime.embedded import LocalServers
from tests.api.conftest import Running, running
from tests.api.forms import END, RANGE, TYPE, file
from tests.api.test_jobs import code_of, created

NOWHERE = "127.0.0.1:9"


async def ready(api: Running, status: str) -> dict[str, object]:
    """What /readyz says once it says this status."""
    async with asyncio.timeout(60):
        while (answer := (await api.http.get("/readyz")).json())["status"] != status:
            await asyncio.sleep(0.05)
    return answer["dependencies"]


async def test_a_service_with_all_it_needs_is_ready(api: Running) -> None:
    answer = await api.http.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert {name: said["up"] for name, said in answer.json()["dependencies"].items()} == {"postgres": True, "nats": True, "s3": True}
    assert all(said["latencyMs"] > 0 for said in answer.json()["dependencies"].values())


async def test_without_nats_jobs_are_taken_on_and_the_service_says_that_it_is_degraded(api: Running) -> None:
    await api.nats.kill()
    try:
        answer = await created(api)
        assert answer.status_code == 202
        assert (await api.http.get(answer.headers["location"])).json()["job"]["status"] == "queued"
        assert (await ready(api, "degraded"))["nats"]["up"] is False
        assert (await api.http.get("/readyz")).status_code == 200
    finally:
        await api.nats.start()
    await ready(api, "ready")


async def test_a_service_that_starts_without_nats_takes_jobs_on(api: Running) -> None:
    async with running(api.environ, NATS_URL=f"nats://{NOWHERE}") as (http, _):
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        answer = await http.post("/api/jobs/upload", content=RANGE + file() + END, headers=TYPE)
        assert answer.status_code == 202


async def test_without_postgres_every_call_that_needs_it_says_to_come_back(api: Running) -> None:
    async with running(api.environ, DATABASE_URL=f"postgresql://x:x@{NOWHERE}/x") as (http, _):
        key = f"uploads/{uuid4()}/talk.mp4"
        await api.to.objects.sources.put(key, b"moving pictures", "video/mp4")
        before = await api.uploads()
        answers = [
            await http.post("/api/jobs", json={"sourceType": "upload", "uploadKey": key, "start": 0, "end": 1}),
            await http.post("/api/jobs/upload", content=RANGE + file() + END, headers=TYPE),
            await http.get(f"/api/jobs/{uuid4()}"),
            await http.get(f"/api/jobs/{uuid4()}/result"),
        ]
        assert [code_of(answer) for answer in answers] == [(503, "RETRYABLE_ERROR", None)] * 4
        assert {answer.headers["retry-after"] for answer in answers} == {"2"}
        assert answers[0].json()["error"]["details"]["retryable"] is True
        assert await api.uploads() == before
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


async def test_when_postgres_comes_back_the_service_goes_on_by_itself(api: Running, local: LocalServers) -> None:
    await local.postgres.kill()
    try:
        assert code_of(await api.http.get(f"/api/jobs/{uuid4()}")) == (503, "RETRYABLE_ERROR", None)
    finally:
        await local.postgres.start()
    await ready(api, "ready")
    assert (await created(api)).status_code == 202


async def test_without_s3_what_needs_it_says_so_and_the_rest_goes_on(api: Running) -> None:
    known = (await created(api)).headers["location"]
    async with running(api.environ, S3_ENDPOINT_URL=f"http://{NOWHERE}", STORAGE_UPLOAD_ATTEMPTS="1") as (http, _):
        ticket = (await api.http.post("/api/uploads", json={"size": 1})).json()
        job = {"sourceType": "upload", "uploadKey": ticket["uploadKey"], "start": 0, "end": 1}
        refused = await http.post("/api/jobs", json=job)
        assert code_of(refused) == (503, "STORAGE_UNAVAILABLE", None)
        assert refused.headers["retry-after"] == "2"
        uploaded = await http.post("/api/jobs/upload", content=RANGE + file() + END, headers=TYPE)
        assert code_of(uploaded) == (503, "STORAGE_UNAVAILABLE", None)
        assert (await http.get(known)).status_code == 200
