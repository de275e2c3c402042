"""A job's events as they happen, over real HTTP: in order, none missed, resumable, and nothing left behind."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import JobCancelled, JobExpired, JobFailed, JobReplayed, StageName, StageProgress
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.settings import Secret
from services.api.caller import Scope
from services.api.event_streams import PAGE, EventStream, EventStreams, Pace
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Pepper
from tests.api.conftest import Running, running
from tests.api.following import Deaf, following, let_in, no_news, open_streams, queries, sooner
from tests.api.test_jobs import DONE, FULL
from tests.api.test_process import started as process
from tests.builders import envelope, history, requested, started, uploaded
from tests.fakes import NOW

LATENCY = 1.0
"""Seconds from an event's commit to its client, at most."""


async def quiet() -> None:
    """Until nothing of any stream is left in this process."""
    async with asyncio.timeout(20):
        while open_streams() or any(task.get_name() == "event hub" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def test_a_finished_job_is_told_from_its_first_event_and_ends(api: Running) -> None:
    job_id = await api.knows(*history(*FULL))
    async with following(api.http, job_id) as stream:
        told = await stream.rest()
        assert stream.answer.headers["content-type"] == "text/event-stream"
        assert stream.answer.headers["cache-control"] == "no-store"
    assert [(one.id, one.type) for one in told] == [
        *((1, "clips.requested"), (2, "source.ready"), (3, "clip.uploaded"), (4, "asr.done"), (5, "clip.burned"))
    ]
    assert [one.data["job"]["status"] for one in told] == ["queued", *["processing"] * 3, "done"]
    assert told[-1].data["job"]["progress"] == 100.0
    assert stream.retry == 2000
    shown = (await api.http.get(f"/api/jobs/{job_id}")).json()["events"]
    assert [{name: one.data[name] for name in ("ts", "type", "data")} for one in told] == shown


async def test_events_arrive_within_a_second_and_the_last_one_ends_the_stream(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with following(api.http, job_id) as stream:
        assert (await stream.next()).type == "clips.requested"
        began = time.monotonic()
        await api.to.store.append(envelope(started(StageName.RESOLVER), job_id))
        told = await stream.next()
        assert time.monotonic() - began < LATENCY
        assert (told.id, told.data["job"]["status"], told.data["job"]["stage"]) == (2, "processing", "resolving")
        await api.to.store.append(envelope(JobCancelled(by="client"), job_id))
        assert [(one.id, one.type) for one in await stream.rest()] == [(3, "job.cancelled")]
    await quiet()


async def test_what_is_private_in_a_job_is_private_in_its_stream(api: Running) -> None:
    opening = requested(source_url="https://example.com/?token=s3cret", callback_url="https://example.com/hook?token=s3cret")
    job_id = await api.knows(*history(opening, started(StageName.RESOLVER), JobCancelled(by="client")))
    answer = await api.http.get(f"/api/jobs/{job_id}/events")
    assert "job.cancelled" in answer.text
    assert "s3cret" not in answer.text
    assert "host:1" not in answer.text


@pytest.mark.parametrize("place", ["header", "query"])
async def test_a_client_resumes_behind_the_event_that_it_names(api: Running, place: str) -> None:
    job_id = await api.knows(*history(*DONE))
    named = {"headers": {"last-event-id": "3"}} if place == "header" else {"params": {"lastEventId": "3"}}
    answer = await api.http.get(f"/api/jobs/{job_id}/events", **named)
    assert [line for line in answer.text.splitlines() if line.startswith("id:")] == ["id: 4", "id: 5"]


async def test_the_header_goes_before_the_query_since_a_client_that_reconnects_sends_it(api: Running) -> None:
    job_id = await api.knows(*history(*DONE))
    answer = await api.http.get(f"/api/jobs/{job_id}/events?lastEventId=1", headers={"last-event-id": "4"})
    assert [line for line in answer.text.splitlines() if line.startswith("id:")] == ["id: 5"]


@pytest.mark.parametrize("after", [5, 6, 2**31 - 1])
async def test_behind_the_end_of_a_job_that_is_over_there_is_nothing_and_the_client_stops(api: Running, after: int) -> None:
    job_id = await api.knows(*history(*DONE))
    answer = await api.http.get(f"/api/jobs/{job_id}/events", headers={"last-event-id": str(after)})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("junk", ["", "-1", "x", "1.5", "0x1", "99999999999999999999", str(2**31), "7"])
async def test_a_place_that_is_no_events_is_refused(api: Running, junk: str) -> None:
    job_id = await api.knows(envelope(requested()))
    for answer in (
        await api.http.get(f"/api/jobs/{job_id}/events", headers={"last-event-id": junk}),
        await api.http.get(f"/api/jobs/{job_id}/events", params={"lastEventId": junk}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_FAILED")


async def test_unknown_and_expired_jobs_have_no_stream(api: Running) -> None:
    gone = await api.knows(*history(requested(), JobExpired()))
    answers = [await api.http.get(f"/api/jobs/{job_id}/events") for job_id in (uuid4(), "nonsense", gone)]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
        *((404, "NOT_FOUND"), (404, "NOT_FOUND"), (410, "GONE"))
    ]


async def test_a_job_that_runs_again_is_told_beyond_its_first_end(api: Running) -> None:
    first = history(requested(), started(StageName.RESOLVER), JobFailed(stage=StageName.RESOLVER, code="INTERNAL", message="broke"))
    job_id = await api.knows(*first)
    replayed = JobReplayed(stage=StageName.RESOLVER, by="ada", source="DLQ:1")
    again = envelope(replayed, job_id, run=2, id=replay_id(job_id, 2))
    await api.to.store.append(again, expires_at=NOW + timedelta(hours=1))
    async with following(api.http, job_id) as stream:
        told = [await stream.next() for _ in range(4)]
        assert [one.data["job"]["status"] for one in told] == ["queued", "processing", "failed", "processing"]
        await api.to.store.append(envelope(JobCancelled(by="client"), job_id, run=2))
        assert [one.data["job"]["status"] for one in await stream.rest()] == ["cancelled"]


async def test_a_job_that_expires_under_its_stream_ends_it(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with following(api.http, job_id) as stream:
        await stream.next()
        await api.to.store.append(envelope(JobExpired(), job_id))
        await api.to.store.forget([job_id], until=NOW + timedelta(days=30))
        assert [(one.type, one.data["job"]["status"]) for one in await stream.rest()] == [("job.expired", "expired")]
    await api.to.store.purge({job_id: 99})


async def test_a_long_history_comes_whole_and_in_order(api: Running) -> None:
    steps = [StageProgress(stage=StageName.CLIPPER, progress=n / 1000) for n in range(3 * PAGE)]
    job_id = await api.knows(*history(requested(), started(StageName.CLIPPER), *steps, uploaded()))
    async with following(api.http, job_id) as stream:
        assert [one.id for one in await stream.rest()] == list(range(1, 3 * PAGE + 4))


async def test_while_nothing_happens_many_streams_ask_the_database_nothing(api: Running) -> None:
    job_ids = [await api.knows(envelope(requested())) for _ in range(60)]
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(api.http, job_id)) for job_id in job_ids]
        for stream in streams:
            await stream.next()
        assert open_streams() == len(job_ids)
        looks = queries("page")
        async with asyncio.timeout(20):  # the hub's ring at its start has been answered by then
            while queries("page") < looks + 3:
                await asyncio.sleep(0.05)
        before, looks = queries("behind"), queries("page")
        await api.to.store.append(envelope(started(StageName.RESOLVER), job_ids[7]))
        assert (await streams[7].next()).type == "stage.started"
        assert queries("behind") == before + 1
        assert queries("page") <= looks + 8
    await quiet()


async def test_all_who_follow_one_job_are_told_by_one_look(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(api.http, job_id)) for _ in range(20)]
        for stream in streams:
            await stream.next()
        looks = queries("page")
        async with asyncio.timeout(20):  # the hub's ring at its start has been answered by then
            while queries("page") < looks + 3:
                await asyncio.sleep(0.05)
        before = queries("behind")
        await api.to.store.append(envelope(started(StageName.RESOLVER), job_id))
        assert {(await stream.next()).id for stream in streams} == {2}
        assert queries("behind") == before + 1
    await quiet()


async def test_a_client_that_leaves_leaves_nothing_behind(api: Running) -> None:
    await quiet()
    tasks = {task for task in asyncio.all_tasks() if task.get_name() != "event hub"}
    job_id = await api.knows(envelope(requested()))
    for _ in range(10):
        async with httpx.AsyncClient(base_url=api.http.base_url) as http, following(http, job_id) as stream:
            await stream.next()
    await quiet()
    async with asyncio.timeout(20):
        while {task for task in asyncio.all_tasks() - tasks if task.get_coro().__qualname__.startswith(("Event", "_left"))}:
            await asyncio.sleep(0.01)


def at(number: int) -> dict[str, str]:
    """One client of several, by its address."""
    return {"x-forwarded-for": f"192.0.2.{number}"}


async def no_place(http: httpx.AsyncClient, job_id: object, headers: dict[str, str]) -> None:
    refused = await http.get(f"/api/jobs/{job_id}/events", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "BACKPRESSURE")
    assert refused.headers["retry-after"] == "10"


async def test_there_are_only_so_many_streams_in_one_process(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with running(api.environ, EVENT_STREAMS_MAX="2", TRUSTED_PROXIES="127.0.0.1") as (http, _):
        async with following(http, job_id, **at(1)) as one, following(http, job_id, **at(2)) as two:
            await one.next()
            await two.next()
            await no_place(http, job_id, at(3))
        await quiet()
        async with following(http, job_id, **at(3)) as three:
            assert (await three.next()).id == 1


async def test_one_client_takes_an_eighth_of_the_places_and_leaves_the_others_theirs(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with running(api.environ, EVENT_STREAMS_MAX="17", TRUSTED_PROXIES="127.0.0.1") as (http, _):
        async with following(http, job_id, **at(1)) as one, following(http, job_id, **at(1)) as two:
            assert [(await one.next()).id, (await two.next()).id] == [1, 1]
            await no_place(http, job_id, at(1))
            async with following(http, job_id, **at(2)) as three:
                assert (await three.next()).id == 1
        await quiet()
        async with following(http, job_id, **at(1)) as four:
            await four.next()


async def test_streams_end_at_once_when_the_server_stops(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    async with process(api) as (server, http), following(http, job_id) as stream:
        await stream.next()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert await stream.rest() == []
        assert await asyncio.wait_for(server.process.wait(), 10) == 0
        assert time.monotonic() - began < 5


async def test_a_stream_of_a_revoked_key_ends_within_ten_seconds(api: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    sooner(monkeypatch)
    secret = "s" * 32
    store = KeyStore(api.to.pool, Pepper(Secret(secret)))
    credentials, key = await store.create(KeyWish(name="reader", scopes=frozenset({Scope.READ}), tenant="acme"))
    job_id = await api.knows(envelope(requested(tenant="acme")))
    bearer = {"authorization": f"Bearer {credentials.written.reveal()}"}
    async with running(api.environ, ENABLE_API_KEYS="true", API_SECRET=secret) as (http, _), following(http, job_id, **bearer) as stream:
        assert (await stream.next()).id == 1
        foreign = await api.knows(envelope(requested(tenant="other")))
        assert (await http.get(f"/api/jobs/{foreign}/events", headers=bearer)).status_code == 404
        await store.revoke(key.id)
        async with asyncio.timeout(40):
            assert await stream.rest() == []


async def test_a_client_that_reads_nothing_is_held_back_and_given_up(api: Running) -> None:
    await quiet()
    steps = [StageProgress(stage=StageName.CLIPPER, progress=n / 1000) for n in range(3 * PAGE)]
    job_id = await api.knows(*history(requested(), started(StageName.CLIPPER), *steps))
    streams, deaf, before = EventStreams(api.to.pool, no_news, most=1, pace=Pace(patience=0.3)), Deaf(takes=3), queries("behind")
    with pytest.raises(TimeoutError):
        await EventStream(streams, job_id, "me", 0, let_in)({}, deaf.receive, deaf.send)
    assert deaf.full.is_set()
    assert queries("behind") - before == 2
    await quiet()


async def test_an_outage_of_postgres_makes_a_stream_wait_and_not_end(api: Running, local: LocalServers) -> None:
    job_id = await api.knows(envelope(requested()))
    streams = EventStreams(api.to.pool, no_news, most=1, pace=Pace(keep_alive=0.1, check=0.05, outage=0.05))
    client = Deaf(takes=1_000_000)
    stream = asyncio.create_task(EventStream(streams, job_id, "me", 0, let_in)({}, client.receive, client.send))
    await client.hears(b"clips.requested")
    await local.postgres.kill()
    try:
        client.got.clear()
        await client.hears(b":\n\n")
    finally:
        await local.postgres.start()
    await api.to.health.until_up()
    await api.to.store.append(envelope(JobCancelled(by="client"), job_id))
    await client.hears(b"job.cancelled")
    await stream
    await quiet()


async def test_nothing_is_told_while_nobody_can_say_whether_the_key_is_still_good(api: Running) -> None:
    job_id = await api.knows(envelope(requested()))
    streams, client, asked = EventStreams(api.to.pool, no_news, most=1, pace=Pace(outage=0.01)), Deaf(takes=1_000_000), 0

    async def unsure() -> None:
        nonlocal asked
        asked += 1
        if asked < 20:
            raise Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres")
        raise Failure(Code.UNAUTHORIZED, "this needs a valid API key")

    await EventStream(streams, job_id, "me", 0, unsure)({}, client.receive, client.send)
    assert client.body == b"retry: 2000\n\n"
    assert client.got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
