"""A job that is cancelled while a stage works on it: the work stops within seconds, its message leaves, nothing follows."""

import asyncio
import time
from pathlib import Path

import nats

from tests.whole_stack import POLL, System

STOPS_WITHIN = 10.0
"""Seconds: a look every two, and what the stage needs to end its programs."""


async def test_work_on_a_cancelled_job_stops_within_seconds(system: System, sample: Path) -> None:
    job_id = await system.submit(sample, start=1, end=55, withSubtitles=True, burnSubtitles=True)
    await system.until_started(job_id, "transcribing")
    async with system.http.delete(f"/api/jobs/{job_id}") as answer:
        assert (answer.status, (await answer.json())["job"]["status"]) == (200, "cancelled")
    began = time.monotonic()
    await until_no_message(system, job_id)
    assert time.monotonic() - began < STOPS_WITHIN
    job = await system.job(job_id)
    assert job["status"] == "cancelled"
    assert [event["type"] for event in job["events"] if event["type"] in {"asr.done", "clip.burned"}] == []


async def until_no_message(system: System, job_id: str) -> None:
    """Acked: the worker has let go of it."""
    client = await nats.connect(system.stack.environ["NATS_URL"])
    try:
        async with asyncio.timeout(60):
            while (await client.jetstream().stream_info("CLIPS")).state.messages:
                await asyncio.sleep(POLL)
    finally:
        await client.close()
