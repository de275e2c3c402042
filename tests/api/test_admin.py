"""The operator's routes: who may use them, and what they say with a janitor there and without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.domain.events import Envelope, JobFailed, JobReplayed, LetterDiscarded, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from libs.common.domain.subjects import DLQ
from libs.common.runtime import background
from libs.common.runtime.service import Connections
from libs.common.runtime.settings import load
from libs.common.runtime.stored_messages import StoredMessages
from services.api.caller import Scope
from services.janitor.dlq_service import serve_dead_letters
from services.janitor.settings import JanitorSettings
from tests.api.conftest import Running, running
from tests.api.keyed import SECRET, client
from tests.api.test_jobs import code_of
from tests.api.test_schema import fits
from tests.builders import history, ready, requested, started
from tests.fakes import MemoryDelivery

ROUTES = [
    ("GET", "/api/admin/dlq"),
    ("GET", "/api/admin/dlq/1"),
    ("POST", "/api/admin/dlq/1/replay"),
    ("POST", "/api/admin/dlq/replay"),
    ("DELETE", "/api/admin/dlq/1"),
]


@dataclass(frozen=True)
class Desk:
    """The operator's way in, and the servers behind it."""

    http: httpx.AsyncClient
    to: Connections

    async def failed_job(self, stage: StageName = StageName.CLIPPER) -> tuple[UUID, int]:
        """A job that failed there, and its letter's sequence."""
        events = history(requested(), ready(), started(stage), JobFailed(stage=stage, code="SOURCE_UNREADABLE", message="no"))
        for event in events:
            await self.to.store.append(event)
        cause: Envelope = events[0 if stage is StageName.RESOLVER else 1]
        delivery = MemoryDelivery.of(cause, sequence=cause.job_id.int % 10**12)
        delivery.subject = "clips.requested" if stage is StageName.RESOLVER else "source.ready"
        await self.to.bus.bury(delivery, stage, Failure(Code.SOURCE_UNREADABLE, "it has no picture"), 1)
        return cause.job_id, (await self.to.bus.js.stream_info(DLQ)).state.last_seq

    async def json(self, method: str, path: str, **given: Any) -> Any:
        answer = await self.http.request(method, path, **given)
        assert answer.status_code == 200, answer.text
        assert answer.json()["correlationId"] == answer.headers["x-correlation-id"]
        return answer.json()


@asynccontextmanager
async def admitted(api: Running) -> AsyncIterator[Desk]:
    async with running(api.environ, ADMIN_ENABLED="true", API_SECRET=SECRET) as (http, to):
        await to.health.until_up()
        http.headers["x-api-key"] = (await client(to.pool, Scope.ADMIN, name="ops")).written
        yield Desk(http, to)


@pytest.fixture(scope="module")
async def alone(api: Running) -> AsyncIterator[Desk]:
    """An operator without a janitor."""
    async with admitted(api) as desk:
        yield desk


@pytest.fixture
async def desk(api: Running, alone: Desk) -> AsyncIterator[Desk]:
    """With a janitor there."""
    await alone.to.bus.js.purge_stream(DLQ)
    async with background.running(serve_dead_letters(load(JanitorSettings, api.environ), alone.to)):
        async with asyncio.timeout(40):
            while (await alone.http.get("/api/admin/dlq")).status_code != 200:
                await asyncio.sleep(0.02)
        yield alone
    await alone.to.bus.client.flush()


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_admin_enabled_the_routes_are_not_there(api: Running, method: str, path: str) -> None:
    headers = (await client(api.to.pool, Scope.ADMIN)).headers
    unknown = (await api.http.request(method, "/api/nothing", headers=headers)).json()["error"]
    answer = await api.http.request(method, path, headers=headers)
    assert code_of(answer) == (404, "NOT_FOUND", None)
    assert {**answer.json()["error"], "correlationId": ""} == {**unknown, "correlationId": ""}


async def test_both_ways_to_send_the_key_are_taken(desk: Desk) -> None:
    assert (await desk.http.get("/api/admin/dlq")).status_code == 200
    key = desk.http.headers["x-api-key"]
    async with httpx.AsyncClient(base_url=desk.http.base_url) as http:
        assert (await http.get("/api/admin/dlq", headers={"authorization": f"bearer {key}"})).status_code == 200
        assert (await http.get("/api/admin/dlq", headers={"authorization": ""})).status_code == 401


async def test_without_a_janitor_one_is_told_to_start_one(alone: Desk) -> None:
    answer = await alone.http.get("/api/admin/dlq")
    assert code_of(answer) == (503, "RETRYABLE_ERROR", None)
    assert "Start a janitor" in answer.json()["error"]["details"]["hint"]
    assert int(answer.headers["retry-after"]) >= 1


async def test_letters_are_listed_by_pages_stages_and_jobs(desk: Desk) -> None:
    made = [await desk.failed_job(stage) for stage in (StageName.RESOLVER, StageName.CLIPPER, StageName.CLIPPER)]
    sequences = [seq for _, seq in made]
    first = await desk.json("GET", "/api/admin/dlq", params={"limit": 2})
    assert [letter["seq"] for letter in first["letters"]] == sequences[:2]
    second = await desk.json("GET", "/api/admin/dlq", params={"limit": 2, "cursor": first["nextCursor"]})
    assert [letter["seq"] for letter in second["letters"]] == sequences[2:]
    assert "nextCursor" not in second
    assert [letter["seq"] for letter in (await desk.json("GET", "/api/admin/dlq?stage=clipper"))["letters"]] == sequences[1:]
    [only] = (await desk.json("GET", "/api/admin/dlq", params={"jobId": str(made[1][0])}))["letters"]
    wanted = {"code": "SOURCE_UNREADABLE", "message": "it has no picture", "stage": "clipper", "subject": "source.ready", "attempts": 1}
    assert wanted.items() <= only.items()
    assert (only["job"], only["replayable"], only["jobId"]) == ("failed", True, str(made[1][0]))


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=-1", "stage=clip", "jobId=1", "page=2"])
async def test_a_wrong_query_names_its_field(desk: Desk, query: str) -> None:
    answer = await desk.http.get(f"/api/admin/dlq?{query}")
    assert code_of(answer) == (400, "VALIDATION_FAILED", query.partition("=")[0])


async def test_a_letter_is_shown_with_its_body_and_headers(desk: Desk) -> None:
    job_id, seq = await desk.failed_job()
    shown = await desk.json("GET", f"/api/admin/dlq/{seq}")
    assert shown["letter"]["jobId"] == shown["body"]["jobId"] == str(job_id)
    assert shown["headers"]["Clip-Error-Code"] == "SOURCE_UNREADABLE"
    assert shown["bodySize"] > 100


@pytest.mark.parametrize("seq", ["999999", "0", "-1", "x", "1e3", "9" * 30, "%D9%A1"])
async def test_a_letter_that_is_not_there_is_not_found(desk: Desk, seq: str) -> None:
    for method, path in (("GET", ""), ("POST", "/replay"), ("DELETE", "")):
        assert code_of(await desk.http.request(method, f"/api/admin/dlq/{seq}{path}")) == (404, "NOT_FOUND", None)


async def test_a_replay_runs_the_job_on_and_names_who_wanted_it(desk: Desk) -> None:
    job_id, seq = await desk.failed_job()
    answer = await desk.json("POST", f"/api/admin/dlq/{seq}/replay", headers={"X-Operator": "ada"})
    assert answer["replayed"] == [{"seq": seq, "jobId": str(job_id), "stage": "clipper", "run": 2}]
    events = await desk.to.store.history(job_id)
    assert events[-1].event == JobReplayed(stage=StageName.CLIPPER, by="admin api: ops: ada", source=f"DLQ:{seq}")
    assert fold(events).status == "processing"
    assert code_of(await desk.http.post(f"/api/admin/dlq/{seq}/replay")) == (404, "NOT_FOUND", None)


async def test_what_can_not_run_again_is_a_conflict_with_the_reason(desk: Desk) -> None:
    await desk.to.bus.js.publish("dlq.source.ready", b"{broken")
    seq = (await desk.to.bus.js.stream_info(DLQ)).state.last_seq
    answer = await desk.http.post(f"/api/admin/dlq/{seq}/replay")
    assert code_of(answer) == (409, "INVALID_STATE", None)
    assert "its body can't be read" in answer.json()["error"]["message"]


async def test_many_are_replayed_by_the_body_of_the_nats_request(desk: Desk) -> None:
    made = [await desk.failed_job() for _ in range(3)]
    answer = await desk.json("POST", "/api/admin/dlq/replay", content=json.dumps({"stage": "clipper", "by": "bob"}))
    assert [found["seq"] for found in answer["replayed"]] == [seq for _, seq in made]
    last = (await desk.to.store.history(made[0][0]))[-1].event
    assert isinstance(last, JobReplayed)
    assert last.by == "admin api: ops: bob"


@pytest.mark.parametrize(
    ("body", "code"), [("{", "BAD_REQUEST"), ("{}", "VALIDATION_FAILED"), ('{"seq":1,"all":true}', "VALIDATION_FAILED")]
)
async def test_a_wrong_body_is_refused_before_a_janitor_is_asked(desk: Desk, body: str, code: str) -> None:
    assert code_of(await desk.http.post("/api/admin/dlq/replay", content=body)) == (400, code, None)


@pytest.mark.parametrize("name", ["x" * 81, "a\tb", b"\xc2\x85", b"\xad"])
async def test_an_operator_has_a_plain_short_name(desk: Desk, name: Any) -> None:
    answer = await desk.http.post("/api/admin/dlq/1/replay", headers={"X-Operator": name})
    assert code_of(answer) == (400, "VALIDATION_FAILED", "X-Operator")


async def test_a_discarded_letter_is_gone_and_its_job_tells_of_it(desk: Desk) -> None:
    job_id, seq = await desk.failed_job()
    answer = await desk.json("DELETE", f"/api/admin/dlq/{seq}")
    assert answer["discarded"] == {"seq": seq, "jobId": str(job_id), "inHistory": True}
    events = await desk.to.store.history(job_id)
    assert events[-1].event == LetterDiscarded(stage=StageName.CLIPPER, by="admin api: ops", source=f"DLQ:{seq}")
    assert fold(events) == fold(events[:-1])
    assert await StoredMessages(desk.to.bus, DLQ).get(seq) is None


async def test_the_routes_are_described_only_where_they_are(api: Running, desk: Desk) -> None:
    described = (await desk.http.get("/schema/openapi.json")).json()
    admin = {(method.upper(), path) for path, item in described["paths"].items() if "/admin/dlq" in path for method in item}
    assert admin == {(method, path.replace("/1", "/{seq}")) for method, path in ROUTES}
    assert not any("/admin/" in path for path in (await api.http.get("/schema/openapi.json")).json()["paths"])
    listing = described["paths"]["/api/admin/dlq"]["get"]
    assert listing["security"] == [{"bearer": ["admin"]}, {"apiKey": ["admin"]}]
    assert [one["name"] for one in listing["parameters"] if "name" in one] == ["limit", "cursor", "stage", "jobId"]
    assert "WWW-Authenticate" in listing["responses"]["401"]["headers"]


async def test_answers_have_the_fields_that_their_schema_names(desk: Desk) -> None:
    described = (await desk.http.get("/schema/openapi.json")).json()
    _, seq = await desk.failed_job()
    for method, path, template in (
        ("GET", "/api/admin/dlq?limit=1", "/api/admin/dlq"),
        ("GET", f"/api/admin/dlq/{seq}", "/api/admin/dlq/{seq}"),
        ("POST", f"/api/admin/dlq/{seq}/replay", "/api/admin/dlq/{seq}/replay"),
    ):
        schema = described["paths"][template][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
        assert fits(await desk.json(method, path), schema, described)
