"""The three servers: the API with keys and metrics, a raw ASGI handler, a bare Litestar one; each a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from libs.common.runtime.embedded_home import PortClaims

OURS, RAW, BARE = "the API", "raw ASGI", "bare Litestar"
SETTINGS = {
    "ENABLE_API_KEYS": "true",
    "API_SECRET": "a secret of the benchmark, long enough",
    "ENABLE_YTDLP": "true",
    "RATE_LIMIT_MAX": "0",
    "MAX_ACTIVE_JOBS_PER_CLIENT": "0",
    "WORKER_QUEUE_HIGH_WATERMARK": "100000000",
    "HEALTH_PORT": "0",
    "LOG_LEVEL": "INFO",
    "OTEL_SDK_DISABLED": "true",
}
ARGUMENTS = {OURS: ["services.api"], RAW: ["bench.http.peers", "raw"], BARE: ["bench.http.peers", "litestar"]}


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int


@asynccontextmanager
async def serving(environ: Mapping[str, str]) -> AsyncIterator[dict[str, Server]]:
    """By their names, while inside."""
    async with AsyncExitStack() as stack:
        servers = {}
        for name, (module, *rest) in ARGUMENTS.items():
            claims = PortClaims()
            port = claims.claim_any(None)
            claims.close()
            servers[name] = Server(port, await stack.enter_async_context(_process(module, rest, port, environ)))
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


async def new_key(environ: Mapping[str, str]) -> str:
    """Of the tenant whose jobs are in the table."""
    argv = [sys.executable, "-m", "services.api.keys_command", "create", "--name", "bench", "--tenant", "bench"]
    process = await asyncio.create_subprocess_exec(
        *argv, "--scope", "jobs:read", "--scope", "jobs:write", env=environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode().strip()
