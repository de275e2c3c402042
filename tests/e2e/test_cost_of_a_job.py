"""What a job costs in round trips and programs, counted exactly: times are noisy, these numbers are not. A new round trip fails here.

Counted are the calls in the job's trace, from the request to the last ack, by every service. Left out, since they go by the clock and
not by the job: pings, pulls (an idle lane asks every 3 s, a free place at once), heartbeats, progress (at most one a second), the look
every 2 s whether the job is still wanted, the read model's pages (every 0.5 s, of all jobs together), and what clients ask meanwhile.
"""

import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pprint import pformat
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope
from libs.common.domain.job import Job
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.postgres import Connection, Pool, Statements
from libs.common.runtime.source_cache import PostgresSourceCache, Section
from services.api.job_opening import JobOpening
from services.api.read_model import ReadModel
from tests.asr.recordings import BECKETT
from tests.collector import Collector, open_collector
from tests.resolver.visiting import allowing
from tests.sites.films import short_film
from tests.sites.packagings import packaged
from tests.sites.site import Site
from tests.whole_stack import OPEN, System, running
from tools.local_stack import Plan

pytestmark = pytest.mark.timeout(600)
LIMITED = {"MAX_ACTIVE_JOBS_PER_CLIENT": "100", "RATE_LIMIT_MAX": "1000"}
"""As by default: what limits cost belongs to a job."""

ENTRY = {"active": 1, "count_request": 1, "open": 1, "send clips.requested": 1}
RESOLVING = {"process clips.requested": 1, "begin": 1, "description": 1, "append": 1, "send source.ready": 1, "ack": 1}
CLIPPING = {"process source.ready": 1, "begin": 1, "inspection": 1, "S3.PutObject": 2, "append": 1, "ack": 1}
TRANSCRIBING = {"process clip.uploaded": 1, "begin": 1, "S3.GetObject": 1, "ffprobe": 1, "ffmpeg": 1, "claim": 1, "transcribe": 1}
KEEPING = {"finish": 1, "S3.PutObject": 4, "append": 1, "ack": 1}
COSTS: dict[str, dict[str, dict[str, int]]] = {
    "clip": {
        "api": {**ENTRY, "S3.PutObject": 1},
        "resolver": {**RESOLVING, "S3.HeadObject": 1, "S3.GetObject": 4},
        "clipper": {**CLIPPING, "S3.GetObject": 3},
    },
    "subtitles": {
        "api": {**ENTRY, "S3.PutObject": 1},
        "resolver": {**RESOLVING, "S3.HeadObject": 1, "S3.GetObject": 4},
        "clipper": {**CLIPPING, "S3.GetObject": 3, "send clip.uploaded": 1},
        "asr": {**TRANSCRIBING, **KEEPING},
    },
    "url": {
        "api": ENTRY,
        "resolver": {**RESOLVING, "claim": 1, "site fetch": 1, "S3.PutObject": 1, "finish": 1, "S3.CopyObject": 1},
        "clipper": {**CLIPPING, "S3.GetObject": 3},
    },
}
"""By kind of job and by service: what is called, and how often. SQL by its statement's name or its transaction's, S3 by its operation,
NATS as `send` (published), `process` (delivered) and `ack`; programs by their name, of which a warm one forks for each."""


@dataclass
class Counted:
    """The jobs by their kind, and the spans of them, once everything has stopped."""

    collector: Collector
    jobs: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, dict[str, int]]:
        spans = self.collector.spans
        [root] = [span for span in spans if span.kind == "server" and span.attributes.get("clip.job.id") == self.jobs[kind]]
        found = Counter((span.service, span.name) for span in spans if span.trace == root.trace and span is not root)
        services = sorted({service for service, _ in found})
        return {service: {name: count for (of, name), count in sorted(found.items()) if of == service} for service in services}


@pytest.fixture(scope="module")
async def counted(tmp_path_factory: pytest.TempPathFactory, site: Site, small: Path) -> Counted:
    """A job of each kind, after another one of it: what is done once in a process is no job's."""
    spoken = with_speech(tmp_path_factory.mktemp("spoken") / "spoken.mp4")
    async with open_collector() as collector:
        counted = Counted(collector)
        environ = {**os.environ, **OPEN, **LIMITED, **allowing(site.port), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        async with running(Plan(tmp_path_factory.mktemp("stack"), environ)) as system:
            for turn in range(2):
                counted.jobs["clip"] = await system.submit(small, start=2, end=5 + turn)
                await done(system, counted.jobs["clip"], path="copy")
                counted.jobs["subtitles"] = await system.submit(spoken, start=1, end=8 + turn, withSubtitles=True, subtitleLang="en")
                await done(system, counted.jobs["subtitles"], path="copy")
                url = site.file(packaged(short_film(site.folder), ("hls-ts", "faststart")[turn]))
                counted.jobs["url"] = await system.submit_url(url, 8.4, 12.4)
                await done(system, counted.jobs["url"], path="copy")
        return counted


def with_speech(path: Path) -> Path:
    """As `small`, with a person who speaks for ten seconds."""
    film = ["-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-i", str(BECKETT.path)]
    coding = "-c:v libx264 -bf 0 -g 25 -c:a aac -ar 48000 -shortest"
    subprocess.run(["ffmpeg", "-v", "error", *film, *coding.split(), str(path)], check=True)
    return path


async def done(system: System, job_id: str, *, path: str) -> None:
    job = await system.until(job_id, status="done")
    assert (job["cutPath"], job.get("warnings", [])) == (path, [])


@pytest.mark.parametrize("kind", COSTS)
async def test_a_job_costs_what_it_is_known_to_cost(counted: Counted, kind: str) -> None:
    found = counted.of(kind)
    changed = differences(found, COSTS[kind])
    assert not changed, "\n".join([f"what a job costs has changed ({kind}):", *changed, "as a table:", pformat(found, width=140)])


def differences(found: Mapping[str, Mapping[str, int]], expected: Mapping[str, Mapping[str, int]]) -> list[str]:
    now, before = flat(found), flat(expected)
    names = sorted(now.keys() | before.keys())
    return [f"{name}: {now[name]}, it was {before[name]}" for name in names if now[name] != before[name]]


def flat(costs: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return Counter({f"{service}: {name}": count for service, calls in costs.items() for name, count in calls.items()})


def test_what_grew_what_is_new_and_what_is_gone_is_told_by_its_name() -> None:
    expected = {"clipper": {"append": 1, "begin": 1}}
    assert differences(expected, expected) == []
    found = {"clipper": {"append": 2, "history": 1}}
    assert differences(found, expected) == [
        "clipper: append: 2, it was 1",
        "clipper: begin: 0, it was 1",
        "clipper: history: 1, it was 0",
    ]


class Heard(list[str]):
    """What one connection was asked."""

    def hear(self, query: Any) -> None:
        self.append(query.query)


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[tuple[Pool, Heard]]:
    heard = Heard()

    async def listen(connection: Any) -> None:
        connection.add_query_logger(heard.hear)

    async def keep(_: object) -> None:
        """As our pools: a reset would be a round trip."""

    async with asyncpg.create_pool(url, min_size=1, max_size=1, init=listen, reset=keep) as pool:
        yield pool, heard


async def test_a_job_is_opened_in_six_round_trips_behind_one_look(servers: dict[str, str]) -> None:
    """A transaction counts as one call above: these are its statements."""
    async with hearing(servers["DATABASE_URL"]) as (pool, heard):
        store = PostgresEventStore(pool)
        model = ReadModel(pool, store, nobody)
        opening = JobOpening(model, store)
        await opening.open([request()], 100)
        heard.clear()  # a connection asks about types at its first use of them
        await opening.open([request()], 100)
        assert named(heard, model.sql, "active", "lock", "open") == [
            "active",
            "BEGIN;",
            "SET LOCAL lock_timeout = '2s'",
            "lock",
            "active",
            "open",
            "COMMIT;",
        ]


async def test_what_nobody_has_fetched_is_claimed_in_six_round_trips(servers: dict[str, str]) -> None:
    async with hearing(servers["DATABASE_URL"]) as (pool, heard):
        await PostgresSourceCache(pool, "counted").claim(uuid4(), token_bytes(32), Section(1, 2), 10)
        statements = Statements(pool, "source_cache.sql")
        assert named(heard, statements, "lock", "clear", "covering", "begin") == ["BEGIN;", "lock", "clear", "covering", "begin", "COMMIT;"]


def named(heard: list[str], statements: Statements, *names: str) -> list[str]:
    known = {statements[name]: name for name in names}
    return [known.get(text, text) for text in heard]


async def nobody(_: Connection, __: Job) -> None:
    """Who is told of a job's end."""


def request() -> Envelope:
    job_id, now = uuid4(), datetime.now(UTC)
    event = ClipsRequested(
        source_type="upload", upload_key=f"uploads/{job_id}/film.mp4", start=1, end=2, client="counted", expires_at=now + timedelta(hours=1)
    )
    return Envelope(id=request_id(job_id), job_id=job_id, at=now, correlation_id="c", event=event)
