"""The HTTP server in this process: uvicorn, on a socket and with signals of our own."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from libs.common.runtime.health_port import health_port
from libs.common.runtime.logs import logger
from libs.common.runtime.service import Connections, connections, stop_signal
from services.api.access import App
from services.api.app import create_app
from services.api.assembly import assembled
from services.api.protocol import EnvelopeProtocol
from services.api.settings import ApiSettings

log = logger(__name__)
NEEDED = ("postgres",)
"""Without NATS jobs are still taken, without S3 still answered for: a load balancer must not take that away."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than the 60 s of usual proxies, which else would send into a closing one."""


async def serve(settings: ApiSettings) -> None:
    """Until SIGTERM or SIGINT; then the requests in hand are finished, within the shutdown timeout."""
    stopping = stop_signal()
    async with connections(settings, "api", needed=NEEDED) as to, health_port(settings, to.health), serving(settings, to) as address:
        log.info("serving", address=address)
        gc.freeze()  # what is there by now stays: looked through again and again, it would cost a request a tenth of its time
        await stopping.wait()
    log.info("stopped")


@asynccontextmanager
async def serving(settings: ApiSettings, to: Connections) -> AsyncIterator[str]:
    """Serve while inside; yields the base URL. OSError when the address is taken."""
    async with assembled(settings, to) as api:
        with _listening(settings.host, settings.port) as listener:
            server = _Server(_config(create_app(api), settings))
            running = asyncio.create_task(server.serve([listener]))
            try:
                async with api.event_streams.hub.opened():
                    yield f"http://{_netloc(settings.host)}:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await running


def _listening(host: str, port: int) -> socket.socket:
    """Clients may connect from here on, also before the server is up."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)


def _netloc(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _config(app: App, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        http=EnvelopeProtocol,
        ws="none",
        reset_contextvars=True,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.worker_shutdown_timeout_ms // 1000,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's business."""
        yield
