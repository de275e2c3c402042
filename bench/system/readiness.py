"""Row 15: how long each service takes from its start to its readiness (/readyz answers 200), its servers being up."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import aiohttp

from bench.figures import Figure, Verdict
from bench.sources import CACHE
from bench.system.memory import SERVICES
from bench.system.session import Session
from libs.common.runtime.embedded_home import PortClaims
from tools.setup import ROOT

LIMIT = 2.0
PATIENCE = 60.0
LOOK_SECONDS = 0.005
DRAIN_SECONDS = 20.0
LOG = CACHE / "readiness.log"


class NeverReady(RuntimeError):
    """A service that did not come up."""


async def measure(session: Session) -> list[Figure]:
    """In turns, each beside the stack's own five, which have nothing to do."""
    taken: dict[str, list[float]] = {name: [] for name in SERVICES}
    for _ in range(session.size.rounds):
        for name in SERVICES:
            taken[name].append(await seconds_to_ready(name, session.environ, LOG))
    return [_figure(name, seconds) for name, seconds in taken.items()]


async def seconds_to_ready(service: str, environ: Mapping[str, str], log: Path) -> float:
    """What it says is added to the log. Raises NeverReady."""
    claims = PortClaims()
    port = claims.claim_any()
    variables = {**environ, "PORT" if service == "api" else "HEALTH_PORT": str(port)}
    began = time.perf_counter()
    with log.open("ab") as words:
        argv = (sys.executable, "-m", f"services.{service}")
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=variables, stdin=DEVNULL, stdout=words, stderr=words)
    try:
        await _until_ready(service, port, process)
        return time.perf_counter() - began
    finally:
        await _ended(process)
        claims.close()


async def _until_ready(service: str, port: int, process: Process) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE):
        while not await _is_ready(http, port):
            if process.returncode is not None:
                raise NeverReady(f"{service} ended with {process.returncode}; its log says why")
            await asyncio.sleep(LOOK_SECONDS)


async def _is_ready(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _ended(process: Process) -> None:
    if process.returncode is None:
        os.kill(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _figure(service: str, seconds: list[float]) -> Figure:
    verdict: Verdict = "reached" if median(seconds) <= LIMIT else "missed"
    told = ", ".join(f"{one:.2f}" for one in seconds)
    return Figure(
        row="15",
        what=f"{service}: start to readiness",
        ours=f"{median(seconds):.2f} s",
        target=f"<= {LIMIT:g} s",
        verdict=verdict,
        detail=f"{told} s",
    )
