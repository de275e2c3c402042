"""Configured servers that go away in the middle of the work and come back: it costs time, not jobs, and no attempt."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest

from libs.common.runtime.embedded import LocalServers, embedded_servers
from tests.whole_stack import System, running
from tools.local_stack import Plan

pytestmark = pytest.mark.timeout(600)
QUICK = {"RECONCILE_EVERY_SEC": "1", "RECONCILE_QUEUED_SEC": "2", "PORT": "0", "RATE_LIMIT_MAX": "0", "MAX_ACTIVE_JOBS_PER_CLIENT": "0"}
"""The janitor looks for lost messages often, so that the test does not wait for its minute."""


@pytest.fixture(scope="module")
async def servers_apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServers]:
    async with embedded_servers(tmp_path_factory.mktemp("configured"), {}) as servers:
        yield servers


@pytest.fixture(scope="module")
async def configured(tmp_path_factory: pytest.TempPathFactory, servers_apart: LocalServers) -> AsyncIterator[System]:
    """A stack whose servers are somebody else's, named by the variables."""
    plan = Plan(tmp_path_factory.mktemp("outages"), {**os.environ, **servers_apart.variables, **QUICK})
    async with running(plan) as system:
        yield system


@pytest.mark.parametrize(
    ("name", "taken_on"), [("nats", True), *(pytest.param(name, False, marks=pytest.mark.thorough) for name in ("postgres", "s3"))]
)
async def test_a_server_killed_in_the_middle_costs_time_only(
    configured: System, servers_apart: LocalServers, small: Path, name: str, taken_on: bool
) -> None:
    """What is in hand is held, what can be taken on is, the rest is told to come back; afterwards all goes on by itself."""
    jobs = [await configured.submit(small, start=n % 5, end=n % 5 + 2.5) for n in range(6)]
    server = servers_apart.started[name]
    await server.kill()
    try:
        during = await submitted(configured, small)
        assert (during is not None) == taken_on
    finally:
        await server.start()
    for job_id in [*jobs, *([during] if during else [])]:
        await settled(configured, job_id)
    await settled(configured, await configured.submit(small, start=0, end=1))
    assert await dead_letters(configured) == 0


async def submitted(system: System, file: Path) -> str | None:
    """The job, or None when the API says to come back later."""
    form = aiohttp.FormData({"start": "1", "end": "2"})
    form.add_field("file", file.read_bytes(), filename="small.mp4")
    async with system.http.post("/api/jobs/upload", data=form) as answer:
        body = await answer.json()
        if answer.status == 202:
            job_id: str = body["job"]["id"]
            return job_id
        assert (answer.status, "Retry-After" in answer.headers, body["error"]["details"]["retryable"]) == (503, True, True)
        return None


async def settled(system: System, job_id: str) -> None:
    """Done within four minutes, whatever the status calls answer meanwhile, and without a charged retry."""
    async with asyncio.timeout(240):
        while (job := await seen(system, job_id)) is None or job["status"] in {"queued", "processing"}:
            await asyncio.sleep(0.1)
    assert job["status"] == "done", job
    charged = [e for e in job["events"] if e["type"] == "stage.retried" and e["data"].get("charged", True)]
    assert charged == []


async def seen(system: System, job_id: str) -> dict[str, Any] | None:
    async with system.http.get(f"/api/jobs/{job_id}") as answer:
        body = await answer.json()
        return body["job"] | {"events": body["events"]} if answer.status == 200 else None


async def dead_letters(system: System) -> int:
    client = await nats.connect(system.stack.environ["NATS_URL"])
    try:
        letters = (await client.jetstream().stream_info("DLQ", subjects_filter="dlq.>")).state.subjects
        return sum((letters or {}).values())
    finally:
        await client.close()
