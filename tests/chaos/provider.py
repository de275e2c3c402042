"""The transcription provider of a chaos run: tests/asr/fake_groq on a port that stays its own, so that it can go down and come back."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.asr.fake_groq import FakeGroq


@dataclass
class Provider:
    """`groq` has every request that came, with the sound that it brought."""

    port: int
    groq: FakeGroq = field(default_factory=FakeGroq)
    runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> Counter[str]:
        """Requests by the sound that they brought: two for one mean that it was paid twice."""
        return Counter(hashlib.sha256(request.content).hexdigest() for request in self.groq.requests)

    async def start(self) -> None:
        app = web.Application(client_max_size=32 << 20)
        app.router.add_post("/{path:.*}", self.groq.serve)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def kill(self) -> None:
        """Connections are refused from now on."""
        if self.runner:
            await self.runner.cleanup()
        self.runner = None


@asynccontextmanager
async def provider(port: int) -> AsyncIterator[Provider]:
    up = Provider(port)
    await up.start()
    try:
        yield up
    finally:
        await up.kill()
