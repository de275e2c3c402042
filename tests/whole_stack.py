"""The whole stack, as `make up` runs it: five services, real servers, one state folder; started once for all tests that want it."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from aiohttp import web

from tests.resolver.visiting import allowing
from tests.sites.films import FOLDER
from tests.sites.site import Site, open_site
from tests.uploading import submitted
from tools.local_stack import Plan, Stack, running_stack, until_ready
from tools.sample import arguments, make_sample

POLL = 0.05


@dataclass
class System:
    """The running system from outside: HTTP, and the processes as the operating system sees them."""

    stack: Stack
    http: aiohttp.ClientSession
    log: Path

    async def submit(self, file: Path, **fields: Any) -> str:
        return await submitted(self.http, file, **fields)

    async def submit_url(self, url: str, start: float, end: float, **fields: Any) -> str:
        body = {"sourceType": "youtube", "youtubeUrl": url, "start": start, "end": end, **fields}
        async with self.http.post("/api/jobs", json=body) as answer:
            accepted = await answer.json()
            assert answer.status == 202, accepted
            job_id: str = accepted["job"]["id"]
            return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        async with self.http.get(f"/api/jobs/{job_id}") as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body["job"] | {"events": body["events"]}

    async def until(self, job_id: str, *, status: str, seconds: float = 240) -> dict[str, Any]:
        """The job once it has this status; fails at once when it ended otherwise."""
        async with asyncio.timeout(seconds):
            while (job := await self.job(job_id))["status"] != status:
                assert job["status"] in {"queued", "processing"}, f"{job}\n{self.log.read_text()[-3000:]}"
                await asyncio.sleep(POLL)
        return job

    async def until_started(self, job_id: str, stage: str) -> None:
        """Returns while that stage works on the job."""
        async with asyncio.timeout(60):
            while (await self.job(job_id)).get("stage") != stage:
                await asyncio.sleep(POLL)

    async def until_ready(self) -> None:
        """Returns when the API answers, all it needs being there."""
        async with asyncio.timeout(60):
            while not await self._is_ready():
                await asyncio.sleep(POLL)

    async def _is_ready(self) -> bool:
        try:
            async with self.http.get("/readyz") as answer:
                return answer.status == 200 and (await answer.json())["status"] == "ready"
        except aiohttp.ClientError:
            return False

    async def result(self, job_id: str) -> dict[str, Any]:
        async with self.http.get(f"/api/jobs/{job_id}/result") as answer:
            body: dict[str, Any] = await answer.json()
            return body

    async def download(self, url: str, to: Path) -> Path:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 200
            to.write_bytes(await answer.read())
        return to

    def pid(self, service: str) -> int:
        """The service's process: the supervisor, which is this process, is its parent, and other stacks' too."""
        mine = f"NATS_URL={self.stack.environ['NATS_URL']}"
        ours = (pid for pid in children(os.getpid()) if command(pid).strip().endswith(f"services.{service}"))
        [found] = [pid for pid in ours if mine in said_by_proc(pid, "environ")]
        return found

    def kill(self, service: str) -> None:
        os.kill(self.pid(service), signal.SIGKILL)


def children(parent: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        with suppress(FileNotFoundError):  # threads come and go
            found += map(int, (task / "children").read_text().split())
    return found


def command(pid: int) -> str:
    return " ".join(said_by_proc(pid, "cmdline"))


def said_by_proc(pid: int, file: str) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):  # it may be over by now
        return Path(f"/proc/{pid}/{file}").read_text().split("\0")
    return []


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[System]:
    """The whole stack, ready."""
    async with AsyncExitStack() as stack:
        log = stack.enter_context((plan.home / "test.log").open("w", buffering=1))
        up = await stack.enter_async_context(running_stack(plan, lambda name, line: print(f"{name}: {line}", file=log)))
        await until_ready(plan, up)
        http = await stack.enter_async_context(aiohttp.ClientSession(up.url))
        system = System(up, http, plan.home / "test.log")
        await system.until_ready()
        yield system


@pytest.fixture(scope="session")
async def site(pytestconfig: pytest.Config) -> AsyncIterator[Site]:
    """Whose films jobs may name by URL."""
    async with open_site(Path(pytestconfig.cache.mkdir(FOLDER))) as site:
        yield site


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where webhooks go, and what came; and a second port that they may go to."""

    url: str
    port: int
    other_port: int
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(await request.json())
        return web.Response(status=204)


@pytest.fixture(scope="session")
async def callbacks(unused_tcp_port_factory: Any) -> AsyncIterator[Callbacks]:
    port, other = unused_tcp_port_factory(), unused_tcp_port_factory()
    callbacks = Callbacks(f"http://127.0.0.1:{port}/hook", port, other)
    app = web.Application()
    app.router.add_post("/hook", callbacks.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield callbacks
    await runner.cleanup()


OPEN = {"PORT": "0", "RATE_LIMIT_MAX": "0", "MAX_ACTIVE_JOBS_PER_CLIENT": "0", "ADMIN_ENABLED": "true", "WEBHOOK_ALLOW_HTTP": "true"}
ACK_WAIT = 8
"""Seconds that the work of a service that was killed lies there."""


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory, site: Site, callbacks: Callbacks) -> AsyncIterator[System]:
    """With everything switched on that clients may meet, but for keys."""
    allowed = allowing(site.port, callbacks.port, callbacks.other_port)
    async with running(
        Plan(tmp_path_factory.mktemp("stack"), {**os.environ, **OPEN, **allowed, "QUEUE_ACK_WAIT_SEC": str(ACK_WAIT)})
    ) as system:
        yield system


@pytest.fixture(scope="session")
async def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's, with a quarter of its pixels: a minute of moving picture, a person reading."""
    with patch("tools.sample.arguments", lambda output: [_smaller(word) for word in arguments(output)]):
        return await make_sample(tmp_path_factory.mktemp("sample") / "two_cities.mp4")


def _smaller(word: str) -> str:
    return word.replace("1280x720", "640x360").replace("veryfast", "ultrafast")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds, 160x96, no B-frames, a keyframe every second: cut by copy in no time."""
    path = tmp_path_factory.mktemp("sample") / "small.mp4"
    source = "-f lavfi -i testsrc2=size=160x96:rate=25:duration=10 -f lavfi -i sine=duration=10 -c:v libx264 -bf 0 -g 25 -c:a aac -shortest"
    subprocess.run(["ffmpeg", "-v", "error", *source.split(), str(path)], check=True)
    return path
