"""Three servers of the same jobs, loaded in turns; their CPU a request, and the time of one request when nothing else is asked."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import msgspec

from bench.figures import Figure, at_most, milliseconds, percentile
from bench.http import streams
from bench.http.load import Found, Orders
from bench.http.servers import BARE, OURS, RAW, SETTINGS, Server, new_key, serving
from bench.processes import output_of, tree_cpu
from libs.common.domain.subjects import CLIPS
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.streams import ensure

CONNECTIONS = 32
READ, CREATE = "GET status", "POST create"
BODY = '{"sourceType":"youtube","youtubeUrl":"https://video.example.com/watch/1","start":10,"end":40}'
TARGET = 1.5
BEHIND = """
SELECT EXISTS (
    SELECT FROM job_events e, read_model_place p
    WHERE (e.txid, e.position) > (p.txid, p.position) AND e.txid < pg_snapshot_xmin(pg_current_snapshot())
)
"""


@dataclass(frozen=True, slots=True)
class Round:
    """Of one server under one kind of load."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Seconds of the server's own processes, a request."""
    wrong: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What rounds need."""

    servers: Mapping[str, Server]
    requests: Mapping[str, Sequence[str]]
    key: str
    database: "asyncpg.Connection[asyncpg.Record]"
    bus: JetStreamBus
    created: list[int] = field(default_factory=list)
    """Jobs that were answered for, a round."""

    async def round(self, kind: str, name: str, connections: int, seconds: float) -> Round:
        """From nothing left to do to nothing left: ours also has what it creates on its lists."""
        server = self.servers[name]
        orders = Orders(server.port, list(self.requests[kind]), connections, seconds, 200 if kind == READ else 202)
        await self.listed()
        before = tree_cpu(server.pid)
        out, _ = await output_of([sys.executable, "-m", "bench.http.load"], msgspec.json.encode(orders))
        found = msgspec.json.decode(out, type=Found)
        await self.listed()
        if kind == CREATE:
            self.created.append(found.right)
        spent = tree_cpu(server.pid) - before
        p50, p99 = percentile(found.took, 0.5), percentile(found.took, 0.99)
        return Round(found.right / found.seconds, p50, p99, spent / max(1, found.right), found.wrong)

    async def listed(self) -> None:
        """Return when the lists know all jobs."""
        async with asyncio.timeout(60):
            while await self.database.fetchval(BEHIND):
                await asyncio.sleep(0.1)

    async def unpublished(self) -> list[str]:
        """In words, where a job that was answered for is no message."""
        expected, found = sum(self.created), -1
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while (found := (await self.bus.js.stream_info(CLIPS)).state.messages) != expected:
                    await asyncio.sleep(0.1)
        return [] if found == expected else [f"{found} messages of {expected} jobs"]


Rounds = Mapping[tuple[str, str, int], Sequence[Round]]
"""By kind, server and connections."""


async def measured(environ: Mapping[str, str], jobs: Sequence[UUID], *, rounds: int, seconds: float) -> list[Figure]:
    environ = {**environ, **SETTINGS}
    found: dict[tuple[str, str, int], list[Round]] = defaultdict(list)
    async with _bench(environ, jobs) as bench:
        faults = await _faults(bench, jobs[0])
        for kind in bench.requests:
            for number in range(rounds + 1):
                for name in bench.servers:
                    for connections in (CONNECTIONS, 1):
                        one = await bench.round(kind, name, connections, seconds if connections > 1 else seconds / 4)
                        if number:  # the first warms up
                            found[kind, name, connections].append(one)
        faults += await bench.unpublished()
        told = await streams.measured(environ, bench.servers[OURS], bench.key, rounds=rounds, events=round(10 * seconds))
    return [*(figure for kind in (READ, CREATE) for figure in _figures(kind, found, faults)), *told]


@asynccontextmanager
async def _bench(environ: Mapping[str, str], jobs: Sequence[UUID]) -> AsyncIterator[Bench]:
    async with serving(environ) as servers:
        key = await new_key(environ)
        head = f"Host: bench\r\nAuthorization: Bearer {key}\r\n"
        gets = [f"GET /api/jobs/{job_id} HTTP/1.1\r\n{head}\r\n" for job_id in jobs]
        post = f"POST /api/jobs HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
        database = await asyncpg.connect(environ["DATABASE_URL"])
        try:
            async with open_bus(environ["NATS_URL"], name="bench") as bus:
                await _connected(bus)
                await ensure(bus.js, replicas=1)
                yield Bench(servers, {READ: gets, CREATE: [post]}, key, database, bus)
        finally:
            await database.close()


async def _connected(bus: JetStreamBus) -> None:
    async with asyncio.timeout(10):
        while not bus.client.is_connected:
            await asyncio.sleep(0.01)


async def _faults(bench: Bench, job_id: UUID) -> list[str]:
    """Whether all say the same of one job, in words; what only ours knows is not looked at."""
    head = dict(line.split(": ") for line in bench.requests[READ][0].split("\r\n")[1:] if line)
    said: dict[str, Any] = {}
    async with aiohttp.ClientSession(headers=head) as http:
        for name, server in bench.servers.items():
            async with http.get(f"http://127.0.0.1:{server.port}/api/jobs/{job_id}") as answer:
                said[name] = {part: (await answer.json())[part] for part in ("job", "events")}
    return [f"{name} tells another job than {OURS}" for name, one in said.items() if one != said[OURS]]


def _figures(kind: str, found: Rounds, faults: Sequence[str]) -> list[Figure]:
    return [_load(kind, found, RAW, faults), _load(kind, found, BARE, faults), _alone(kind, found)]


def _load(kind: str, found: Rounds, peer: str, faults: Sequence[str]) -> Figure:
    ours, theirs = (_middle(found[kind, name, CONNECTIONS]) for name in (OURS, peer))
    ratio = ours.cpu / theirs.cpu
    target, verdict = at_most(ratio, TARGET)
    is_wrong = bool(ours.wrong or faults)
    return Figure(
        row="9",
        what=f"{kind}, CPU of the server a request",
        ours=_told(ours),
        peer=f"{peer} {_told(theirs)}",
        ratio=ratio,
        target=target if peer == RAW else "",
        verdict=("missed" if is_wrong else verdict) if peer == RAW else "not judged",
        detail=f"{CONNECTIONS} connections, closed loop, the load on the same cores, traces off; our p50 {milliseconds(ours.p50)}, "
        + "; ".join([f"wrong {ours.wrong}", *faults]),
    )


def _alone(kind: str, found: Rounds) -> Figure:
    ours, raw, bare = (_middle(found[kind, name, 1]) for name in (OURS, RAW, BARE))
    return Figure(
        row="9",
        what=f"{kind}, p50 of one connection",
        ours=milliseconds(ours.p50),
        peer=f"{RAW} {milliseconds(raw.p50)}, {BARE} {milliseconds(bare.p50)}",
        ratio=ours.p50 / raw.p50,
        detail=f"p99 {milliseconds(ours.p99)}, {RAW} {milliseconds(raw.p99)}; wrong {ours.wrong}",
    )


def _middle(rounds: Sequence[Round]) -> Round:
    rate, p50, p99, cpu = (median(getattr(one, name) for one in rounds) for name in ("rate", "p50", "p99", "cpu"))
    return Round(rate, p50, p99, cpu, sum(one.wrong for one in rounds))


def _told(one: Round) -> str:
    return f"{one.cpu * 1e6:.0f} us, {one.rate:.0f}/s, p99 {milliseconds(one.p99)}"
