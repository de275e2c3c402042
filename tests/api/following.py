"""Clients of event streams: a well-behaved one over HTTP, and one that is only the other end of ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from libs.common.runtime.event_feed import Batch, Cursor, EventFeed
from libs.common.runtime.postgres import Pool
from services.api.authority import FRESH_SECONDS
from services.api.event_streams import Pace


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream as a client has it."""

    id: int
    type: str
    data: dict[str, Any]


class Following:
    """One open stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self.retry: int | None = None
        self._blocks = self._read()

    async def next(self) -> Told:
        """The next event; StopAsyncIteration at the stream's end."""
        return await anext(self._blocks)

    async def rest(self) -> list[Told]:
        """Everything until the server ends the stream."""
        return [told async for told in self._blocks]

    async def _read(self) -> AsyncIterator[Told]:
        fields: dict[str, str] = {}
        async for line in self.answer.aiter_lines():
            name, _, value = line.partition(":")
            if line == "" and "data" in fields:
                yield Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {} if line == "" else {**fields, name: value.removeprefix(" ")}
            self.comments += line.startswith(":")
            self.retry = int(value) if name == "retry" else self.retry


@asynccontextmanager
async def following(http: httpx.AsyncClient, job_id: object, **headers: str) -> AsyncIterator[Following]:
    async with http.stream("GET", f"/api/jobs/{job_id}/events", headers=headers) as answer:
        yield Following(answer)


class Deaf:
    """An ASGI client that takes `takes` messages and then reads nothing, without leaving."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.got: list[dict[str, Any]] = []
        self.full = asyncio.Event()

    async def send(self, message: Any) -> None:
        if len(self.got) == self.takes:
            self.full.set()
            await asyncio.get_running_loop().create_future()
        self.got.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got)

    async def hears(self, part: bytes) -> None:
        async with asyncio.timeout(60):
            while part not in self.body:
                await asyncio.sleep(0.01)

    async def receive(self) -> Any:
        return await asyncio.get_running_loop().create_future()


def queries(operation: str) -> float:
    """How often this process has asked Postgres so."""
    labels = {"dependency": "postgres", "operation": operation}
    return REGISTRY.get_sample_value("clip_dependency_seconds_count", labels) or 0.0


def open_streams() -> float | None:
    return REGISTRY.get_sample_value("clip_event_streams")


class BrokenOnce(EventFeed):
    """It reads once and then breaks; what comes in before it is asked again, it has never told."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.broke = asyncio.Event()

    async def end(self) -> Cursor:
        if self.broke.is_set():
            await asyncio.sleep(0.1)
        return await super().end()

    async def follow(self, after: Cursor, **how: object) -> AsyncIterator[Batch]:
        if not self.broke.is_set():
            self.broke.set()
            raise RuntimeError("broken")
        async for batch in super().follow(after, **how):
            yield batch


async def let_in() -> None:
    """Everybody."""


async def no_news(_: object) -> None:
    """Nobody says that anything happened: the feed must."""


def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """APIs that start from here on ask every half second whether a key is still good; else it is in time for ten."""
    assert FRESH_SECONDS + Pace().check < 10
    monkeypatch.setattr("services.api.authority.FRESH_SECONDS", 0.5)
    monkeypatch.setattr("services.api.event_streams.Pace", partial(Pace, check=0.3))
