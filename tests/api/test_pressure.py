"""The API under pressure, on real servers: new work is refused with a time to come back, everything else goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest
from nats.js.errors import NotFoundError

from libs.common.domain.events import StageName
from libs.common.domain.failures import HINTS, Code
from libs.common.domain.subjects import CLIPS
from libs.common.domain.worker_reports import SUBJECT, WorkerReport, subject_of
from libs.common.runtime import streams
from libs.common.runtime.embedded import LocalServers, embedded_servers
from tests.api.conftest import Running, running
from tests.api.forms import END, RANGE, TYPE, file, zeros
from tests.api.test_edits import put
from tests.api.test_jobs import FULL, created
from tests.builders import envelope, history, started
from tests.own_database import own_database
from tests.runtime.own_nats import connected_bus

MARK = 6


@pytest.fixture(scope="module")
async def server(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServers]:
    others = {name: value for name, value in servers.items() if name != "NATS_URL"}
    async with (
        own_database(servers["DATABASE_URL"]) as url,
        embedded_servers(tmp_path_factory.mktemp("pressure"), {**others, "DATABASE_URL": url}) as own,
    ):
        yield own


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements four times as often: tests wait for them."""
    monkeypatch.setattr("services.api.pressure.EVERY", 0.25)


@pytest.fixture
async def own(server: LocalServers) -> LocalServers:
    """With an empty work stream and an empty event table: both count."""
    async with events_of(server) as connection:
        await connection.execute("TRUNCATE job_events, job_index")
    async with connected_bus(server.variables["NATS_URL"]) as bus:
        with suppress(NotFoundError):
            await bus.js.delete_stream(CLIPS)
        await streams.ensure(bus.js, replicas=1)
    return server


@asynccontextmanager
async def events_of(server: LocalServers) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.variables["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def serving(own: LocalServers, mark: int = MARK) -> AsyncIterator[Running]:
    async with running(own.variables, WORKER_QUEUE_HIGH_WATERMARK=str(mark)) as (http, to):
        await to.objects.ensure_buckets()
        yield Running(http, to, own.variables, own.nats)


@pytest.fixture
async def pressed(own: LocalServers) -> AsyncIterator[Running]:
    async with serving(own) as api:
        await api.to.health.until_up()
        yield api


async def until(api: Running, status: int) -> httpx.Response:
    """The first answer to a new upload ticket, which costs nothing, that has this status."""
    async with asyncio.timeout(60):
        while (answer := await api.http.post("/api/uploads", json={"filename": "a.mp4", "size": 10})).status_code != status:
            await asyncio.sleep(0.02)
    return answer


def refused(answer: httpx.Response) -> tuple[int, str]:
    """What makes a refusal one that a client can act on."""
    error = answer.json()["error"]
    assert error["details"] == {"retryable": True, "hint": HINTS[Code.BACKPRESSURE]}
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    return answer.status_code, error["code"]


async def fill(api: Running, count: int) -> None:
    """The stream, by whom it may be."""
    await asyncio.gather(*(api.to.bus.js.publish("source.ready", b"{}") for _ in range(count)))


async def test_a_full_queue_refuses_new_work_and_nothing_else(pressed: Running) -> None:
    done = await pressed.knows(*history(*FULL))
    before = await pressed.uploads()
    await fill(pressed, MARK)
    answers = [await until(pressed, 503), await put(pressed, done), await created(pressed)]
    answers.append(await pressed.http.post("/api/jobs/upload", content=RANGE + file() + END, headers=TYPE))
    assert {refused(answer) for answer in answers} == {(503, "BACKPRESSURE")}
    assert (await pressed.http.get(f"/api/jobs/{done}")).json()["job"]["status"] == "done"
    assert (await pressed.http.get(f"/api/jobs/{done}/result")).status_code == 200
    assert (await pressed.http.post("/api/jobs", json={"sourceType": "upload"})).status_code == 400
    assert len(await pressed.uploads() - before) == 1  # the test's own, of `created`
    await told(pressed)
    await pressed.to.bus.js.purge_stream(CLIPS)
    await until(pressed, 200)
    assert (await created(pressed)).status_code == 202
    assert (await put(pressed, done)).status_code == 202


async def told(api: Running) -> None:
    """By the metric, which every API of this process sets in turn: those of other tests have room."""
    async with asyncio.timeout(60):
        while await api.counted("clip_backpressure", reason="queue") != 1:
            await asyncio.sleep(0.02)


async def test_fifty_at_once_do_not_pass_the_mark(own: LocalServers) -> None:
    async with serving(own, mark=20) as api:
        answers = await asyncio.gather(*(created(api) for _ in range(50)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {202, 503}
        assert statuses.count(202) + await taken_on(api) == 20


async def test_room_that_a_refused_request_took_is_given_back(pressed: Running) -> None:
    wrong = {"sourceType": "upload", "uploadKey": f"uploads/{uuid4()}/none.mp4", "start": 0, "end": 1}
    for _ in range(3 * MARK):
        assert (await pressed.http.post("/api/jobs", json=wrong)).status_code == 400
    assert await taken_on(pressed) == MARK


async def taken_on(api: Running) -> int:
    """Jobs until it refuses for good: one that comes while the queue is measured counts twice until the next measurement."""
    count = 0
    while True:
        while (await created(api)).status_code == 202:
            count += 1
        await measured_anew(api)
        if (await created(api)).status_code == 503:
            return count
        count += 1


async def measured_anew(api: Running) -> None:
    """By every API of this process, of which there are three at most: the metrics are theirs together."""
    before = await measurements(api)
    async with asyncio.timeout(60):
        while await measurements(api) < before + 6:
            await asyncio.sleep(0.02)


async def measurements(api: Running) -> float:
    return await api.counted("clip_dependency_seconds_count", dependency="postgres", operation="unbegun")


@pytest.mark.parametrize("limit", [{"max_msgs": 10}, {"max_bytes": 64 * 1024}])
async def test_a_stream_near_its_own_limits_is_full(own: LocalServers, limit: dict[str, int]) -> None:
    async with serving(own, mark=100_000) as api:
        config = (await api.to.bus.js.stream_info(CLIPS)).config
        await api.to.bus.js.update_stream(config.evolve(**limit))
        body = b"x" * 6000
        await asyncio.gather(*(api.to.bus.js.publish("source.ready", body) for _ in range(8)))
        if "max_bytes" in limit:
            await api.to.bus.js.publish("source.ready", b"x" * 5000)
        assert refused(await until(api, 503)) == (503, "BACKPRESSURE")
        assert (await api.to.bus.js.publish("source.ready", body[:100])).seq  # what was taken on still gets through


async def test_without_nats_jobs_are_taken_up_to_the_mark_by_all_processes_together(own: LocalServers, pressed: Running) -> None:
    await own.nats.kill()
    assert [(await created(pressed)).status_code for _ in range(MARK - 3)] == [202] * (MARK - 3)
    async with serving(own) as another:
        assert await taken_on(another) == 3
    await until(pressed, 503)
    await own.nats.start()
    async with asyncio.timeout(60):
        while not pressed.to.bus.client.is_connected:
            await asyncio.sleep(0.02)
    await measured_anew(pressed)
    assert refused(await created(pressed)) == (503, "BACKPRESSURE")  # what was taken on is in the table, and comes first
    await begin_all(pressed, own)
    await until(pressed, 200)
    assert (await created(pressed)).status_code == 202


async def begin_all(api: Running, own: LocalServers) -> None:
    """What the reconciler and the resolvers do with all that waits."""
    async with events_of(own) as connection:
        jobs = [row["job_id"] for row in await connection.fetch("SELECT job_id FROM job_index")]
    assert len(jobs) == await api.to.store.unbegun(100) == MARK
    await api.knows(*(envelope(started(StageName.RESOLVER), job) for job in jobs))


async def test_a_stage_whose_every_worker_is_full_refuses_new_work_until_one_has_room(pressed: Running) -> None:
    await say(pressed, "a", full=True)
    await say(pressed, "b", full=False)
    assert (await created(pressed)).status_code == 202
    await say(pressed, "b", full=True)
    answer = await until(pressed, 503)
    assert (refused(answer), answer.headers["retry-after"]) == ((503, "BACKPRESSURE"), "15")
    await say(pressed, "a", full=False)
    await until(pressed, 200)
    await pressed.to.bus.client.publish(subject_of(StageName.CLIPPER), b"no report at all")
    await pressed.to.bus.client.publish("clipstream.workers.newer", b"{}")
    assert (await created(pressed)).status_code == 202


async def say(api: Running, worker: str, *, full: bool) -> None:
    """What a clipper says of itself; the API has subscribed within a second of its start."""
    said = WorkerReport(worker=worker, in_hand=1, places=4, scratch_free_mb=1, scratch_used_mb=1, full=full)
    async with asyncio.timeout(20):
        while f"{SUBJECT}.*" not in {subscription.subject for subscription in api.to.bus.client._subs.values()}:
            await asyncio.sleep(0.02)
    await api.to.bus.client.publish(subject_of(StageName.CLIPPER), msgspec.json.encode(said))
    await api.to.bus.ping()


@pytest.mark.parametrize("headers", [{}, {"expect": "100-continue"}])
async def test_a_client_with_a_large_file_hears_the_refusal(pressed: Running, headers: dict[str, str]) -> None:
    await fill(pressed, MARK)
    await until(pressed, 503)
    body: Any = zeros(64 * 2**20, RANGE + file()[:-2], b"\r\n" + END)
    answer = await pressed.http.post("/api/jobs/upload", content=body, headers=TYPE | headers)
    assert refused(answer) == (503, "BACKPRESSURE")


ROUTES = [("/api/jobs", "post"), ("/api/jobs/upload", "post"), ("/api/jobs/{job_id}/subtitles", "put"), ("/api/uploads", "post")]


async def test_the_schema_says_so(api: Running) -> None:
    paths = (await api.http.get("/schema/openapi.json")).json()["paths"]
    for path, method in ROUTES:
        said = paths[path][method]["responses"]["503"]
        assert "Retry-After" in said["headers"]
        assert "BACKPRESSURE" in said["content"]["application/json"]["examples"]
