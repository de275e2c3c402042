"""The operator's overview: every number is that of jobs, messages and letters that are really there; what can't be asked is named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from libs.common.domain.events import (
    CANCELLED,
    SUBJECTS,
    AnyEvent,
    AsrFailed,
    Envelope,
    JobCancelled,
    JobFailed,
    JobReplayed,
    Priority,
    StageName,
    encode,
)
from libs.common.domain.failures import HINTS, Code
from libs.common.domain.subjects import CLIPS, DLQ, durable, subject_for
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import Pool, open_pool
from services.api.caller import Scope
from services.api.overview_counts import Overview
from services.api.read_model import ReadModel
from tests.api.conftest import Running, running
from tests.api.keyed import SECRET, client
from tests.api.test_job_list import nobody
from tests.api.test_jobs import DONE, code_of
from tests.builders import envelope, history, ready, requested, started, transcribed, uploaded
from tests.own_database import own_database

ADMIN = {"ADMIN_ENABLED": "true", "API_SECRET": SECRET}
PATH = "/api/admin/overview"
UNREADABLE = JobFailed(stage=StageName.RESOLVER, code="SOURCE_UNREADABLE", message="no video")


@asynccontextmanager
async def operator(api: Running, **changes: str) -> AsyncIterator[httpx.AsyncClient]:
    """At an API whose keys the session's database knows."""
    async with running(api.environ, **ADMIN, **changes) as (http, to):
        await to.health.until_up()
        http.headers["x-api-key"] = (await client(to.pool, Scope.ADMIN, name="ops")).written
        yield http


async def overview(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get(PATH)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["correlationId"] == answer.headers["x-correlation-id"]
    return found


def lane(found: dict[str, Any], stage: StageName, priority: Priority) -> dict[str, Any]:
    [one] = [queue for queue in found["queues"] if (queue["stage"], queue["lane"]) == (stage, priority)]
    return one


async def keep(pool: Pool, *jobs: tuple[AnyEvent, ...], at: datetime | None = None) -> list[Envelope]:
    """Jobs with these histories, in the lists; the last event of each."""
    store = PostgresEventStore(pool)
    told = [[envelope_at(one, at or datetime.now(UTC)) for one in history(*job)] for job in jobs]
    for event in (one for job in told for one in job):
        await store.append(event)
    await ReadModel(pool, store, nobody).project([job[0].job_id for job in told])
    return [job[-1] for job in told]


def envelope_at(one: Envelope, at: datetime) -> Envelope:
    return replace(one, at=at)


@pytest.fixture
async def alone(api: Running, servers: dict[str, str]) -> AsyncIterator[tuple[httpx.AsyncClient, Pool]]:
    """An operator at an API whose database has no jobs but those of the test."""
    async with (
        own_database(servers["DATABASE_URL"]) as url,
        open_pool(url, connections=2) as pool,
        operator(api, DATABASE_URL=url) as http,
    ):
        yield http, pool


async def test_jobs_are_counted_by_status_and_stage_and_failures_by_code(alone: tuple[httpx.AsyncClient, Pool]) -> None:
    http, pool = alone
    subtitled = requested(with_subtitles=True)
    lost = AsrFailed(code="RETRIES_EXHAUSTED", message="no words")
    unwanted = AsrFailed(code=CANCELLED, message="cancelled at the client's wish")
    await keep(
        pool,
        (requested(),),
        (requested(tenant="another"),),
        (requested(), started(StageName.RESOLVER)),
        (requested(), ready(), started(StageName.CLIPPER)),
        (requested(tenant="another"), ready(), started(StageName.CLIPPER)),
        (subtitled, ready(), uploaded(), started(StageName.ASR)),
        (requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), started(StageName.BURNER)),
        DONE,
        (subtitled, ready(), uploaded(), lost),
        (subtitled, ready(), uploaded(), unwanted),
        (requested(), UNREADABLE),
        (requested(), UNREADABLE),
        (requested(), JobFailed(stage=StageName.CLIPPER, code="OF_A_NEWER_VERSION", message="what")),
        (requested(), JobCancelled(by="client")),
    )
    await keep(pool, (requested(), UNREADABLE), DONE, at=datetime.now(UTC) - timedelta(hours=25))
    found = await overview(http)
    assert found["jobs"] == {
        "byStatus": {"queued": 2, "processing": 5, "done": 3, "failed": 3, "cancelled": 1},
        "byStage": {"resolver": 1, "clipper": 2, "asr": 1, "burner": 1},
    }
    assert found["failures"] == [
        {"code": "SOURCE_UNREADABLE", "count": 2, "hint": HINTS[Code.SOURCE_UNREADABLE]},
        {"code": "OF_A_NEWER_VERSION", "count": 1, "hint": HINTS[Code.INTERNAL]},
        {"code": "RETRIES_EXHAUSTED", "count": 1, "hint": HINTS[Code.RETRIES_EXHAUSTED]},
    ]
    assert found["unknown"] == []
    assert abs(datetime.fromisoformat(found["measuredAt"]) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_a_job_that_runs_again_is_a_failure_no_more(alone: tuple[httpx.AsyncClient, Pool]) -> None:
    http, pool = alone
    [failed] = await keep(pool, (requested(), UNREADABLE))
    assert (await overview(http))["jobs"]["byStatus"]["failed"] == 1
    again = JobReplayed(stage=StageName.RESOLVER, by="ada", source="DLQ:1")
    store = PostgresEventStore(pool)
    await store.append(envelope(again, failed.job_id, run=2), expires_at=datetime.now(UTC) + timedelta(hours=1))
    await ReadModel(pool, store, nobody).project([failed.job_id])
    found = await overview(http)
    assert (found["jobs"]["byStatus"]["processing"], found["jobs"]["byStatus"]["failed"], found["failures"]) == (1, 0, [])
    assert found["jobs"]["byStage"]["resolver"] == 1


async def test_rows_that_are_made_anew_know_stage_and_code_again(alone: tuple[httpx.AsyncClient, Pool]) -> None:
    http, pool = alone
    await keep(pool, (requested(), UNREADABLE), (requested(), ready(), started(StageName.CLIPPER)))
    before = await overview(http)
    rows = ReadModel(pool, PostgresEventStore(pool), nobody)
    await pool.execute("UPDATE job_list SET stage = NULL, error_code = NULL")
    assert (await overview(http))["failures"] == []
    await rows.rebuild()
    while not await rows.catch_up():
        pass
    after = await overview(http)
    assert (after["jobs"], after["failures"]) == (before["jobs"], before["failures"])


async def test_every_lane_tells_what_waits_what_is_in_hand_and_how_old_it_is(api: Running) -> None:
    js = api.to.bus.js
    await js.purge_stream(CLIPS)
    subject = subject_for(SUBJECTS[StageName.CLIPPER], Priority.BULK)
    cause = history(requested(), ready())[1]
    for _ in range(3):
        await js.publish(subject, encode(cause))
    puller = await js.pull_subscribe_bind(consumer=durable(StageName.CLIPPER, Priority.BULK), stream=CLIPS)
    await puller.fetch(1, timeout=5)
    async with operator(api) as http:
        found = await overview(http)
    assert [(queue["stage"], queue["lane"]) for queue in found["queues"]] == [(stage, lane) for stage in StageName for lane in Priority]
    full = lane(found, StageName.CLIPPER, Priority.BULK)
    assert (full["pending"], full["ackPending"]) == (2, 1)
    assert 0 < full["oldestSeconds"] < 60
    others = [queue for queue in found["queues"] if queue is not full]
    assert {(queue["pending"], queue["ackPending"], queue["oldestSeconds"]) for queue in others} == {(0, 0, 0)}
    await js.purge_stream(CLIPS)


async def test_dead_letters_are_counted_with_no_janitor_there(api: Running) -> None:
    await api.to.bus.js.purge_stream(DLQ)
    for _ in range(2):
        await api.to.bus.js.publish("dlq.source.ready", b"{broken")
    async with operator(api) as http:
        assert (await overview(http))["deadLetters"] == 2
    await api.to.bus.js.purge_stream(DLQ)


async def test_without_nats_the_rest_is_told_and_what_is_not_known_is_named(api: Running) -> None:
    async with operator(api) as http:
        await api.nats.kill()
        try:
            found = await overview(http)
        finally:
            await api.nats.start()
    assert found["unknown"] == ["queues", "deadLetters"]
    assert "queues" not in found
    assert "deadLetters" not in found
    assert {"jobs", "failures", "measuredAt"} <= set(found)


async def test_without_a_database_the_queues_are_still_told(api: Running) -> None:
    async with open_pool("postgresql://x:x@127.0.0.1:9/x", connections=1) as nowhere:
        found = await Overview(nowhere, api.to.bus).measured(datetime.now(UTC), "x")
    assert found.unknown == ("jobs", "failures")
    assert found.queues


async def test_without_admin_enabled_the_route_is_not_there(api: Running) -> None:
    headers = (await client(api.to.pool, Scope.ADMIN)).headers
    assert code_of(await api.http.get(PATH, headers=headers)) == (404, "NOT_FOUND", None)


async def test_the_page_is_there_only_with_its_route(api: Running) -> None:
    async with operator(api) as http:
        for path in ("/operator", "/web/operator.js", "/web/operator_letters.js", "/web/operator.css"):
            assert (await http.get(path)).status_code == 200, path
            assert (await api.http.get(path)).status_code == 404, path


async def test_only_a_key_with_the_scope_admin_may_look(api: Running) -> None:
    async with operator(api) as http:
        assert code_of(await http.get(PATH, headers={"x-api-key": ""})) == (401, "UNAUTHORIZED", None)
        stranger = await client(api.to.pool, Scope.READ, Scope.WRITE)
        assert code_of(await http.get(PATH, headers={"x-api-key": stranger.written})) == (403, "FORBIDDEN", None)
