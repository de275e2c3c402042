"""What NATS servers say of themselves on their monitoring ports, and nowhere else: whether they sync always, and whether they can write."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import aiohttp

from libs.common.domain.failures import Code, Failure

SYNC_LIMIT = aiohttp.ClientTimeout(total=3)
HEALTH_LIMIT = aiohttp.ClientTimeout(total=1)


async def sync_problems(monitor: str) -> list[str]:
    """`monitor` is the server's monitoring address, http://host:8222."""
    try:
        async with aiohttp.ClientSession(timeout=SYNC_LIMIT) as session, session.get(f"{monitor.rstrip('/')}/jsz") as answer:
            config = (await answer.json()).get("config", {})
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return [f"server {monitor}: its monitoring port doesn't say whether it syncs always"]
    return [] if config.get("sync_always") else [f"server {monitor}: sync_interval must be always"]


async def be_well(monitors: Sequence[str]) -> None:
    """Raises Failure(outage="nats") while most of the servers say that their JetStream is not whole.

    After one write error a stream takes nothing more until its server starts again, and only /healthz tells. A cluster goes on without
    a minority: there such a leader steps down. A server that doesn't answer has said nothing: the connection tells whether it is there.
    """
    if not monitors:
        return
    async with aiohttp.ClientSession(timeout=HEALTH_LIMIT) as session:
        unwell = sum(await asyncio.gather(*(_is_unwell(session, monitor) for monitor in monitors)))
    if 2 * unwell > len(monitors):
        raise Failure(Code.RETRYABLE_ERROR, f"{unwell} of {len(monitors)} message servers can't write", outage="nats")


async def _is_unwell(session: aiohttp.ClientSession, monitor: str) -> bool:
    try:
        async with session.get(f"{monitor.rstrip('/')}/healthz") as answer:
            return answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
