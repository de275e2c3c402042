"""Traces of whole jobs, as a real collector gets them: one a job, through all services, whole, without a secret; and what they count."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pformat
from typing import Any
from urllib.parse import urlsplit

import nats
import pytest
from aiohttp import web

from tests.collector import Collector, Span, open_collector, tree
from tests.e2e.costs import COSTS, LIMITED, costing, counted, differences, name_of
from tests.resolver.visiting import allowing
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import OPEN, System, running
from tools.local_stack import Plan

pytestmark = pytest.mark.timeout(300)
TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "hunter2hunter2"


@dataclass
class Hook:
    """Where the webhook goes, and with what headers it came."""

    url: str = ""
    port: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(status=204)


@pytest.fixture(scope="module")
async def hook(unused_tcp_port_factory: Any) -> AsyncIterator[Hook]:
    hook = Hook(port=unused_tcp_port_factory())
    hook.url = f"http://127.0.0.1:{hook.port}/hook?key={SECRET}"
    app = web.Application()
    app.router.add_post("/hook", hook.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", hook.port).start()
    yield hook
    await runner.cleanup()


@dataclass
class Seen:
    """What was done, and the spans of it, once everything had stopped."""

    collector: Collector
    hook: Hook
    jobs: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    log: str = ""

    @property
    def spans(self) -> list[Span]:
        return self.collector.spans

    def of(self, job: str) -> list[Span]:
        """All of the trace that the job's request is in."""
        [root] = [s for s in self.spans if s.kind == "server" and s.attributes.get("clip.job.id") == self.jobs[job]]
        return [span for span in self.spans if span.trace == root.trace]


@pytest.fixture(scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory, site: Site, small: Path, spoken: Path, hook: Hook) -> AsyncIterator[Seen]:
    """Jobs that are counted, one after the other; then at once a job by upload, one with subtitles, burned in, and a webhook,
    one by URL in the client's trace, and one that fails and is replayed.
    """
    async with open_collector() as collector:
        seen = Seen(collector, hook)
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
        traced["OTEL_EXPORTER_OTLP_HEADERS"] = f"x-key={SECRET}"
        allowed = allowing(site.port, hook.port)
        async with running(Plan(tmp_path_factory.mktemp("stack"), {**os.environ, **OPEN, **LIMITED, **allowed, **traced})) as system:
            seen.secrets = [SECRET, *secrets_of(system)]
            seen.jobs = await costing(system, site, small, spoken)
            seen.jobs["upload"] = await system.submit(small, start=1, end=4)
            seen.jobs["url"] = await by_url(system, site.file(packaged(short_film(site.folder), "hls-fmp4"), key=SECRET))
            seen.jobs["failed"] = await system.submit_url(site.url("/status/404/film"), 1, 3)
            async with system.http.post("/api/webhooks/secrets") as answer:
                assert answer.status == 201
            subtitled = {
                "start": 0.5,
                "end": 9.5,
                "withSubtitles": True,
                "burnSubtitles": True,
                "callbackUrl": hook.url,
            }
            seen.jobs["subtitled"] = await system.submit(spoken, **subtitled)
            await system.until(seen.jobs["failed"], status="failed")
            await replayed(system, seen.jobs["failed"])
            for job in ("upload", "url", "subtitled"):
                await system.until(seen.jobs[job], status="done")
            await collector.until("POST", "send dlq.clips.requested")
        seen.log = system.log.read_text()
        yield seen


def secrets_of(system: System) -> list[str]:
    environ = system.stack.environ
    passwords = [urlsplit(environ[name]).password or "" for name in ("DATABASE_URL", "NATS_URL")]
    return [value for value in (*passwords, environ["S3_SECRET_ACCESS_KEY"], environ["API_SECRET"]) if value]


async def by_url(system: System, url: str) -> str:
    body = {"sourceType": "youtube", "youtubeUrl": url, "start": 8.4, "end": 12.4}
    async with system.http.post("/api/jobs", json=body, headers={"traceparent": f"00-{TRACE}-{CLIENT}-01"}) as answer:
        job_id: str = (await answer.json())["job"]["id"]
        return job_id


async def replayed(system: System, job_id: str) -> None:
    client = await nats.connect(system.stack.environ["NATS_URL"])
    answer = await client.request("clipstream.dlq.replay", json.dumps({"jobId": job_id}).encode(), timeout=10)
    assert len(json.loads(answer.data)["replayed"]) == 1
    await client.close()


async def test_a_job_is_one_trace_through_all_its_services(seen: Seen) -> None:
    cut = {"api", "resolver", "clipper"}
    found = {job: {span.service for span in seen.of(job)} for job in seen.jobs}
    asked = {"subtitled", "first subtitles", "cost of subtitles"}
    assert found == {**dict.fromkeys(seen.jobs, cut), **dict.fromkeys(asked, cut | {"asr"}), "failed": {"api", "resolver", "janitor"}}
    traces = {seen.of(job)[0].trace for job in seen.jobs}
    assert len(traces) == len(seen.jobs)
    assert {span.trace for span in seen.spans if span.service != "api"} == traces


async def test_every_span_has_its_parent_and_only_requests_begin_a_trace(seen: Seen) -> None:
    for job in seen.jobs:
        spans = seen.of(job)
        known = {span.id for span in spans}
        roots = [span for span in spans if span.parent not in known]
        assert [(root.name.split()[0], root.kind) for root in roots] == [("POST", "server")], tree(spans)
    assert {span.kind for span in seen.spans if not span.parent} == {"server"}


async def test_a_trace_that_the_client_began_goes_on(seen: Seen) -> None:
    spans = seen.of("url")
    assert {span.trace for span in spans} == {TRACE}
    assert [span.name for span in spans if span.parent == CLIENT] == ["POST /api/jobs"]


async def test_each_stage_its_calls_and_its_programs_are_there(seen: Seen) -> None:
    spans = seen.of("subtitled")
    stages = {(span.service, span.name, span.kind) for span in spans if span.name.startswith("process ")}
    assert stages == {
        ("resolver", "process clips.requested", "consumer"),
        ("clipper", "process source.ready", "consumer"),
        ("asr", "process clip.uploaded", "consumer"),
        ("clipper", "process asr.done", "consumer"),
    }
    work = [span for span in spans if span.kind == "consumer"]
    assert {(span.attributes["clip.verdict"], span.attributes["clip.attempt"], span.attributes["clip.run"]) for span in work} == {
        ("Advance", 1, 1)
    }
    assert {span.attributes["clip.job.id"] for span in work} == {seen.jobs["subtitled"]}
    called = {(span.service, span.name, span.kind) for span in spans}
    assert {
        ("api", "send clips.requested", "producer"),
        ("resolver", "send source.ready", "producer"),
        ("clipper", "begin", "client"),
        ("clipper", "S3.GetObject", "client"),
        ("clipper", "S3.PutObject", "client"),
        ("clipper", "ffmpeg", "internal"),
        ("clipper", "inspection", "internal"),
        ("asr", "transcribe", "internal"),
        ("asr", "ack", "client"),
    } <= called
    assert {"resolver site fetch"} <= {f"{span.service} {span.name}" for span in seen.of("url")}


async def test_what_failed_is_marked_and_what_ran_again_is_in_the_same_trace(seen: Seen) -> None:
    work = sorted((span for span in seen.of("failed") if span.kind == "consumer"), key=lambda span: span.start)
    assert [(span.attributes["clip.run"], span.attributes["clip.verdict"], span.attributes["error.type"]) for span in work] == [
        (1, "GiveUp", "NOT_FOUND"),
        (2, "GiveUp", "NOT_FOUND"),
    ]
    assert [span.kind for span in seen.of("failed") if span.service == "janitor" and span.name == "send clips.requested"] == ["producer"]


async def test_the_webhook_is_in_the_trace_and_hands_it_on(seen: Seen) -> None:
    [post] = [span for span in seen.of("subtitled") if span.name == "POST"]
    assert (post.service, post.kind, post.attributes["http.response.status_code"]) == ("api", "client", 204)
    [handed_on] = [headers["traceparent"] for headers in seen.hook.headers]
    assert handed_on.rpartition("-")[0] == f"00-{post.trace}-{post.id}"
    assert int(handed_on[-2:], 16) & 1, "sampled"


async def test_nothing_that_is_secret_is_in_any_span(seen: Seen) -> None:
    said = "\n".join(map(repr, seen.spans))
    assert len(seen.spans) > 100
    assert {header["x-key"] for header in seen.collector.headers} == {SECRET}
    assert {header["content-encoding"] for header in seen.collector.headers} == {"gzip"}
    assert [secret for secret in (*seen.secrets, "X-Amz", "://") if secret in said] == []


async def test_what_is_asked_again_and_again_makes_no_spans(seen: Seen) -> None:
    names = {span.name for span in seen.spans}
    assert not any("/readyz" in name or "/healthz" in name or "/metrics" in name for name in names)
    assert names & {"ping", "silent", "expired", "lease", "unbegun", "backlog", "waiting", "take"} == set()
    programs = {span.id for span in seen.spans if "process.executable.name" in span.attributes}
    assert [span.name for span in seen.spans if span.parent in programs] == [], "progress is no step of the work"
    assert {"ffmpeg", "ffprobe"} <= names
    assert "env" not in names


async def test_nobody_complains(seen: Seen) -> None:
    assert [line for line in seen.log.splitlines() if "traces are not" in line or "spans could not" in line] == []


@pytest.mark.parametrize("kind", COSTS)
async def test_a_job_costs_what_it_is_known_to_cost(seen: Seen, kind: str) -> None:
    found = counted(seen.of(name_of(kind)))
    changed = differences(found, COSTS[kind])
    assert not changed, "\n".join([f"what a job costs has changed ({kind}):", *changed, "as a table:", pformat(found, width=140)])
