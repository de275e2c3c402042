"""The API as the process it is: its memory while a large file streams through, its log lines, and how it ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import UNLIMITED, Running
from tests.api.forms import END, RANGE, TYPE, head, zeros

MIB = 1024 * 1024


class Process:
    """`python -m services.api`, and what it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def logged(self, event: str) -> dict[str, Any]:
        """The next line with this event."""
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"ended without logging {event!r}: {self.lines}")

    def peak(self) -> int:
        """The most memory it has ever held, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@asynccontextmanager
async def started(api: Running, **settings: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    environ = {"PATH": os.environ["PATH"], **api.environ, **UNLIMITED, "PORT": "0", **settings}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.api", env=environ, stdout=asyncio.subprocess.PIPE)
    try:
        running = Process(process)
        address = (await running.logged("serving"))["address"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            yield running, http
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture(scope="module")
async def lasting(api: Running) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    async with started(api) as (process, http):
        yield process, http


async def test_a_large_file_streams_through_without_being_held(api: Running, lasting: tuple[Process, httpx.AsyncClient]) -> None:
    (process, http), size = lasting, 200 * MIB
    others = await api.uploads()
    small = await http.post("/api/jobs/upload", content=zeros(MIB, RANGE + head("small.mp4"), b"\r\n" + END), headers=TYPE)
    before = process.peak()
    large = await http.post("/api/jobs/upload", content=zeros(size, RANGE + head("large.mp4"), b"\r\n" + END), headers=TYPE)
    assert (small.status_code, large.status_code) == (202, 202)
    assert process.peak() - before < 64 * MIB
    stored = {
        found.key: found.size
        async for found in api.to.objects.sources.list("uploads/")
        if found.key.endswith("/large.mp4") and found.key not in others
    }
    assert set(stored.values()) == {size}
    await api.to.objects.sources.delete(list(stored))


async def test_each_request_is_one_json_line_without_its_query(lasting: tuple[Process, httpx.AsyncClient]) -> None:
    process, http = lasting
    await http.get("/nothing?token=s3cret", headers={"x-request-id": "req-3"})
    while (line := await process.logged("request"))["path"] != "/nothing":
        pass
    told = {name: line[name] for name in ("method", "path", "route", "status", "correlationId", "service", "level")}
    assert told == {
        "method": "GET",
        "path": "/nothing",
        "route": "unmatched",
        "status": 404,
        "correlationId": "req-3",
        "service": "api",
        "level": "info",
    }
    assert "s3cret" not in str(process.lines)


async def test_sigterm_finishes_the_request_in_hand_and_exits_with_0(api: Running) -> None:
    async with started(api) as (process, http):
        sending, stopped = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield RANGE + head("slow.mp4") + b"moving"
            sending.set()
            await stopped.wait()
            yield b" pictures\r\n" + END

        answer = asyncio.create_task(http.post("/api/jobs/upload", content=slow(), headers=TYPE))
        await sending.wait()
        await http.get("/healthz")
        process.process.send_signal(signal.SIGTERM)
        await process.logged("Shutting down")
        stopped.set()
        assert (await answer).status_code == 202
        assert await asyncio.wait_for(process.process.wait(), 10) == 0


async def test_a_wrong_setting_is_named_and_nothing_starts(api: Running) -> None:
    environ = {"PATH": os.environ["PATH"], **api.environ, "PORT": "many", "MAX_CLIP_SECONDS": "-1"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.api", env=environ, stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 1
    assert b"PORT" in complaint
    assert b"MAX_CLIP_SECONDS" in complaint
