"""An operator at work in a browser: the page with a key, and jobs that fail for good."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import nats
from playwright.async_api import Browser, Page, expect

from libs.common.domain.events import JobReplayed
from libs.common.runtime.event_store import open_event_store
from tests.web.conftest import Visit, visiting
from tests.whole_stack import System, children, command

HOSTILE = {
    "Clip-Stage": "clipper",
    "Clip-Error-Code": "<b>CODE</b>",
    "Clip-Error-Message": "<img src=x onerror=alert(1)>\x1b[2J",
    "X-Strange": "<i>slanted</i><script>alert(2)</script>",
}
REFUSED = "Failed to load resource"
"""What a browser says of each answer that is an error."""


@asynccontextmanager
async def visit(browser: Browser, system: System, **how: Any) -> AsyncIterator[Visit]:
    """The page, before anybody has shown a key."""
    async with visiting(browser, system.stack.url, expected=(REFUSED,), **how) as visit:
        await visit.page.goto(f"{system.stack.url}/operator")
        yield visit


def message_server(system: System) -> int:
    """The process id of this stack's NATS server, whose files lie in the stack's folder."""
    [found] = [pid for pid in children(os.getpid()) if "nats-server" in command(pid) and str(system.log.parent) in command(pid)]
    return found


async def enter(page: Page, key: str) -> None:
    await page.get_by_label("Admin key").fill(key)
    await page.get_by_role("button", name="Look in").click()
    await expect(page.locator("#state")).to_have_text("Live: looks again every 5 seconds.")


async def fail(system: System, tmp_path: Path) -> str:
    """A job whose upload is no video, once its letter is there."""
    (tmp_path / "notes.mp4").write_bytes(b"no moving picture at all " * 9)
    job_id = await system.submit(tmp_path / "notes.mp4", start=0, end=1)
    await listed(system, job_id)
    return job_id


async def listed(system: System, job_id: str) -> None:
    """Returns when the job has failed and is in the lists as such: what is counted comes from there."""
    await system.until(job_id, status="failed", seconds=30)
    async with asyncio.timeout(60):
        while job_id not in await failed(system):
            await asyncio.sleep(0.05)


async def replayed_by(system: System, job_id: str) -> list[str]:
    async with open_event_store(system.stack.environ["DATABASE_URL"]) as store:
        events = [told.event for told in await store.history(UUID(job_id))]
    return [event.by for event in events if isinstance(event, JobReplayed)]


async def failed(system: System) -> set[str]:
    async with system.http.get("/api/jobs", params={"status": "failed", "limit": 100}) as answer:
        return {job["id"] for job in (await answer.json())["jobs"]}


@asynccontextmanager
async def emptied(system: System, *letters: dict[str, str]) -> AsyncIterator[None]:
    """The dead letters are these, which nobody can read."""
    connection = await nats.connect(system.stack.environ["NATS_URL"])
    js = connection.jetstream()
    await js.purge_stream("DLQ")
    for headers in letters:
        await js.publish("dlq.source.ready", b"{broken <script>", headers=headers)
    yield
    await js.purge_stream("DLQ")
    await connection.close()
