"""The internal port of every service: /healthz (this loop runs), /readyz (what it depends on answers), /metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from libs.common.runtime.health import Health
from libs.common.runtime.logs import logger
from libs.common.runtime.settings import CommonSettings

log = logger(__name__)


def readiness(health: Health) -> dict[str, Any]:
    """`{status, dependencies: {name: {up, latencyMs}}, full: [name]}`; what is full is left out where nothing is."""
    dependencies = {name: {"up": pulse.up, "latencyMs": round(pulse.latency * 1000, 2)} for name, pulse in health.pulses.items()}
    return {"status": health.readiness, "dependencies": dependencies} | ({"full": sorted(health.full)} if health.full else {})


@asynccontextmanager
async def health_port(settings: CommonSettings, health: Health) -> AsyncIterator[int]:
    """Serve while inside; yields the port."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def ready(_: web.Request) -> web.Response:
        return web.Response(
            body=msgspec.json.encode(readiness(health)),
            status=503 if health.readiness == "unready" else 200,
            content_type="application/json",
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.health_host, settings.health_port)
        await site.start()
        port: int = runner.addresses[0][1]
        log.info("internal port open", port=port)
        yield port
    finally:
        await runner.cleanup()
