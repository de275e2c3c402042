"""What tests of webhooks stand on: a database of their own, a clock that they set, real receivers, senders that go turn by turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from aiohttp import web

from libs.common.domain.job import Job, fold
from libs.common.domain.source_urls import UrlRules, url_rules
from libs.common.runtime.postgres import Pool, open_pool
from libs.common.runtime.settings import Secret
from services.api.webhooks.deliveries import Deliveries, DeliveryView
from services.api.webhooks.outbox import enqueue
from services.api.webhooks.receivers import open_receivers
from services.api.webhooks.sender import Mail, Post, Sender
from services.api.webhooks.signing_secrets import SigningSecrets
from tests.builders import envelope, requested, uploaded

PEPPER = Secret("p" * 32)
LOOPBACK = "127.0.0.0/8"


@dataclass
class Clock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Heard:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Reply = int | web.Response | Callable[[], Awaitable[web.Response]]


@dataclass
class Receiver:
    """Gives its answers in turn, the last one for ever."""

    answers: Sequence[Reply]
    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    """Requests that it had at the same time."""

    def reset(self, *answers: Reply) -> None:
        self.answers = answers
        self.heard.clear()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(Heard({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
        try:
            if isinstance(answer, int):
                return web.Response(status=answer)
            return answer if isinstance(answer, web.Response) else await answer()
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving(*answers: Reply, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    receiver = Receiver(answers)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    receiver.url = f"http://{host}:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def rules_for(*receivers: Receiver, networks: str = LOOPBACK) -> UrlRules:
    return url_rules("", networks, ",".join(["80", "443", *(str(urlsplit(one.url).port) for one in receivers)]))


def ended(url: str | None, *, tenant: str = "", run: int = 1, at: datetime | None = None, **fields: Any) -> Job:
    """A job that is done, by its events."""
    job_id = uuid4()
    at = at or datetime.now(UTC) - timedelta(minutes=1)
    opening = requested(callback_url=url, tenant=tenant, metadata={"order": "7"}, **fields)
    return fold([envelope(opening, job_id, at=at), envelope(uploaded(), job_id, at=at)])


@dataclass
class Desk:
    """Senders' surroundings. `secret` is the tenant's first."""

    pool: Pool
    clock: Clock
    deliveries: Deliveries
    secrets: SigningSecrets
    secret: str

    async def order(self, *jobs: Job) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            for job in jobs:
                await enqueue(connection, job)

    def sender(self, post: Post) -> Sender:
        return Sender(
            Mail(
                deliveries=self.deliveries,
                secrets=self.secrets,
                post=post,
                keep=timedelta(hours=96),
                now=self.clock,
                chance=lambda: 0.0,
            )
        )

    @asynccontextmanager
    async def sending(self, *receivers: Receiver, seconds: float = 5.0) -> AsyncIterator[Sender]:
        async with open_receivers(rules_for(*receivers), seconds=seconds) as way:
            yield self.sender(way.post)

    async def delivery(self, job: Job) -> DeliveryView:
        assert job.id
        (found,) = await self.deliveries.of_job(job.id)
        return found


async def turned(sender: Sender) -> int:
    """One turn and all that it began."""
    begun = await sender.turn()
    await sender.settled()
    return begun


@asynccontextmanager
async def post_office(database: str) -> AsyncIterator[Desk]:
    async with open_pool(database, connections=10) as pool:
        await pool.execute("TRUNCATE webhook_deliveries, webhook_secrets")
        clock, secrets = Clock(), SigningSecrets(pool, PEPPER)
        made = await secrets.make("", clock())
        yield Desk(pool, clock, Deliveries(pool), secrets, made.secret)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not true():
            await asyncio.sleep(0.01)
