"""What it costs to tell clients what happens: one event to many who follow the same job, beside one who follows it alone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from uuid import UUID, uuid4

from bench.figures import Figure, milliseconds
from bench.http.servers import Server
from bench.processes import tree_cpu
from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope, StageName, StageProgress
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.nats_connection import open_client
from libs.common.runtime.news import telling
from libs.common.runtime.postgres import open_pool

MANY = 100
PAUSE = 0.02
"""Seconds between two events."""


class Listener(asyncio.Protocol):
    """One client; `heard` has the moment at which each event came."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._rest = b""
        self.heard: list[float] = []
        self.came = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  for the type checker
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        self.heard += [time.perf_counter()] * sum(b"event: " in block for block in blocks)
        self.came.set()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.heard) < count:
                self.came.clear()
                await self.came.wait()

    def leave(self) -> None:
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Told:
    """Of one round: CPU seconds of the server for an event and a listener, and the seconds from each commit to each listener."""

    cpu: float
    late: Sequence[float]


async def measured(environ: Mapping[str, str], server: Server, key: str, *, rounds: int, events: int) -> list[Figure]:
    one: list[Told] = []
    many: list[Told] = []
    async with (
        open_client(environ["NATS_URL"], name="bench") as client,
        telling(client) as told_of,
        open_pool(environ["DATABASE_URL"], connections=1, keeps_plans=True) as pool,
    ):
        store = PostgresEventStore(pool, told=told_of)
        for number in range(rounds + 1):
            for listeners, found in ((1, one), (MANY, many)):
                told = await _round(store, server, key, listeners, events)
                if number:
                    found.append(told)
    return [_figure(one, many)]


async def _round(store: PostgresEventStore, server: Server, key: str, count: int, events: int) -> Told:
    job_id = await _job(store)
    request = f"GET /api/jobs/{job_id}/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        listeners: list[Listener] = []
        for _ in range(count):
            _, listener = await loop.create_connection(lambda: Listener(request), "127.0.0.1", server.port)
            stack.callback(listener.leave)
            listeners.append(listener)
        await asyncio.gather(*(one.has(1) for one in listeners))
        before, committed = tree_cpu(server.pid), []
        for number in range(events):
            await store.append(_event(job_id, StageProgress(stage=StageName.CLIPPER, progress=number / events)))
            committed.append(time.perf_counter())
            await asyncio.sleep(PAUSE)
        await asyncio.gather(*(one.has(1 + events) for one in listeners))
        spent = tree_cpu(server.pid) - before
    late = [heard - at for one in listeners for heard, at in zip(one.heard[1:], committed, strict=True)]
    return Told(spent / (events * count), late)


async def _job(store: PostgresEventStore) -> UUID:
    opening = ClipsRequested(
        source_type="upload", upload_key="uploads/x", start=0.0, end=1.0, tenant="bench", client="bench", expires_at=datetime.now(UTC)
    )
    job_id = uuid4()
    await store.append(_event(job_id, opening, request_id(job_id)))
    return job_id


def _event(job_id: UUID, event: ClipsRequested | StageProgress, event_id: UUID | None = None) -> Envelope:
    return Envelope(id=event_id or uuid4(), job_id=job_id, at=datetime.now(UTC), correlation_id="c", event=event)


def _figure(one: Sequence[Told], many: Sequence[Told]) -> Figure:
    alone, each = (median(told.cpu for told in found) for found in (one, many))
    late, late_alone = (median(seconds for told in found for seconds in told.late) for found in (many, one))
    return Figure(
        row="9",
        what=f"SSE, CPU of the server an event and listener, {MANY} on one job",
        ours=f"{each * 1e6:.0f} us",
        peer=f"one listener {alone * 1e6:.0f} us, the looking included",
        ratio=each / alone,
        detail=f"p50 from commit to client {milliseconds(late)}, one listener {milliseconds(late_alone)}; {1 / PAUSE:.0f} events a second",
    )
