"""Three servers of the same jobs, loaded in turns: the API with keys and metrics, a raw ASGI handler, a bare Litestar one."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from uuid import UUID

import msgspec

from bench.figures import Figure, at_most, milliseconds, percentile
from bench.http.load import Found, Orders
from bench.processes import output_of, tree_cpu
from libs.common.runtime.embedded_home import PortClaims

CONNECTIONS = 32
OURS, RAW, BARE = "the API", "raw ASGI", "bare Litestar"
BODY = '{"sourceType":"youtube","youtubeUrl":"https://93.184.215.14/v","start":10,"end":40}'
SETTINGS = {
    "ENABLE_API_KEYS": "true",
    "API_SECRET": "a secret of the benchmark, long enough",
    "ENABLE_YTDLP": "true",
    "RATE_LIMIT_MAX": "0",
    "MAX_ACTIVE_JOBS_PER_CLIENT": "0",
    "WORKER_QUEUE_HIGH_WATERMARK": "100000000",
    "HEALTH_PORT": "0",
    "LOG_LEVEL": "INFO",
}
TARGET = 1.5


@dataclass(frozen=True, slots=True)
class Round:
    """Of one server under one kind of load."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Seconds of the server's own processes, a request."""
    wrong: int


async def measured(environ: Mapping[str, str], jobs: Sequence[UUID], *, rounds: int, seconds: float) -> list[Figure]:
    environ = {**environ, **SETTINGS}
    async with _serving(environ) as servers:
        requests = {"GET status": [_get(job_id) for job_id in jobs], "POST create": [_post()]}
        key = await _key(environ)
        found: dict[tuple[str, str], list[Round]] = defaultdict(list)
        for kind, lines in requests.items():
            for number in range(rounds + 1):
                for name, (port, pid) in servers.items():
                    orders = Orders(port, [line.replace("KEY", key) for line in lines], CONNECTIONS, seconds, 200 if "GET" in kind else 202)
                    one = await _round(orders, pid)
                    if number:  # the first warms up
                        found[kind, name].append(one)
        return [_figure(kind, found, peer) for kind in requests for peer in (RAW, BARE)]


def _get(job_id: UUID) -> str:
    return f"GET /api/jobs/{job_id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer KEY\r\n\r\n"


def _post() -> str:
    head = "POST /api/jobs HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"


async def _key(environ: Mapping[str, str]) -> str:
    """Of the tenant whose jobs are in the table."""
    argv = [sys.executable, "-m", "services.api.keys_command", "create", "--name", "bench", "--tenant", "bench"]
    process = await asyncio.create_subprocess_exec(
        *argv, "--scope", "jobs:read", "--scope", "jobs:write", env=environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode().strip()


async def _round(orders: Orders, pid: int) -> Round:
    before = tree_cpu(pid)
    out, _ = await output_of([sys.executable, "-m", "bench.http.load"], msgspec.json.encode(orders))
    spent, found = tree_cpu(pid) - before, msgspec.json.decode(out, type=Found)
    return Round(
        found.right / found.seconds, percentile(found.took, 0.5), percentile(found.took, 0.99), spent / max(1, found.right), found.wrong
    )


def _figure(kind: str, found: Mapping[tuple[str, str], Sequence[Round]], peer: str) -> Figure:
    ours, theirs = (_middle(found[kind, name]) for name in (OURS, peer))
    ratio = ours.cpu / theirs.cpu
    target, verdict = at_most(ratio, TARGET)
    return Figure(
        row="9",
        what=f"{kind}, CPU of the server a request",
        ours=_told(ours),
        peer=f"{peer} {_told(theirs)}",
        ratio=ratio,
        target=target if peer == RAW else "",
        verdict=("missed" if ours.wrong else verdict) if peer == RAW else "not judged",
        detail=f"{CONNECTIONS} connections, closed loop, the load on the same cores; our p50 {milliseconds(ours.p50)}, wrong {ours.wrong}",
    )


def _middle(rounds: Sequence[Round]) -> Round:
    rate, p50, p99, cpu = (median(getattr(one, name) for one in rounds) for name in ("rate", "p50", "p99", "cpu"))
    return Round(rate, p50, p99, cpu, sum(one.wrong for one in rounds))


def _told(one: Round) -> str:
    return f"{one.cpu * 1e6:.0f} us, {one.rate:.0f}/s, p99 {milliseconds(one.p99)}"


@asynccontextmanager
async def _serving(environ: Mapping[str, str]) -> AsyncIterator[dict[str, tuple[int, int]]]:
    """Port and process of each, while inside."""
    argvs = {OURS: ["services.api"], RAW: ["bench.http.peers", "raw"], BARE: ["bench.http.peers", "litestar"]}
    async with AsyncExitStack() as stack:
        servers = {}
        for name, (module, *rest) in argvs.items():
            claims = PortClaims()
            port = claims.claim_any(None)
            claims.close()
            servers[name] = (port, await stack.enter_async_context(_process(module, rest, port, environ)))
        yield servers


@asynccontextmanager
async def _process(module: str, arguments: Sequence[str], port: int, environ: Mapping[str, str]) -> AsyncIterator[int]:
    given = {**environ, "PORT": str(port)}
    extra = [*arguments, str(port)] if arguments else []
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *extra, env=given, stdout=nowhere, stderr=nowhere)
    try:
        await _until_up(port)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _until_up(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
