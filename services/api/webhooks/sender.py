"""Sends what is due, in every replica at once: each takes its own, at least once, and what a dead one had taken comes back."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import prometheus_client as metrics
from msgspec import UNSET

from libs.common.domain.failures import Failure
from libs.common.runtime import tracing
from libs.common.runtime.background import for_ever, running
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.logs import logger
from services.api.webhooks.attempts import Attempt, Outcome, State, Trouble, verdict_on
from services.api.webhooks.deliveries import Deliveries, Due
from services.api.webhooks.signatures import signed_headers
from services.api.webhooks.signing_secrets import SigningSecrets
from services.api.webhooks.turns import PLACES, Busy, chosen

log = logger(__name__)
ATTEMPTS = metrics.Counter("clip_webhook_attempts_total", "Attempts to deliver a webhook, by what followed", ["outcome"])
SECONDS = metrics.Histogram(
    "clip_webhook_seconds", "Time of an attempt to deliver a webhook", buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20)
)
PENDING = metrics.Gauge("clip_webhooks_pending", "Webhooks that are not delivered yet, of all replicas")
OLDEST = metrics.Gauge("clip_webhook_oldest_seconds", "Age of the oldest webhook that is not delivered yet, up to a day")
OVERDUE = metrics.Gauge("clip_webhook_overdue_seconds", "How long the webhook that is due longest has waited for a sender")

POLL = 1.0
MEASURE = timedelta(seconds=15)
SWEEP = timedelta(hours=1)
LAST_SENDS = 3.0
"""Seconds that attempts under way get at the end; what they lose is sent again, by whoever is there."""
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a sender works with. `keep` is how long a delivery is remembered."""

    deliveries: Deliveries
    secrets: SigningSecrets
    post: Post
    keep: timedelta
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: Callable[[], float] = random.random


class Sender:
    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._under_way: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._measured = self._swept = datetime.min.replace(tzinfo=UTC)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while inside; then what is under way is given a moment to end."""
        try:
            async with running(for_ever("webhooks", self._look, self._next)):
                yield
        finally:
            await self.settled(LAST_SENDS)
            await self._break_off()

    async def _look(self) -> None:
        while await self.turn():
            pass
        await self.upkeep()

    async def _next(self, _broke: Exception | None) -> None:
        """When a place is free again, or something may have become due."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(POLL)

    async def turn(self) -> int:
        """Begin with what is due and there is a place for: how many that are."""
        if len(self._under_way) >= PLACES:
            return 0
        now, busy = self._mail.now(), Busy.of(self._under_way.values())
        waiting = await self._mail.deliveries.waiting(now, busy.full, tenants=PLACES)
        taken = await self._mail.deliveries.take(now, chosen(waiting, busy))
        for due in taken:
            task = asyncio.create_task(self._deliver(due))
            self._under_way[task] = (due.tenant, due.host)
            task.add_done_callback(self._under_way.pop)
        return len(taken)

    async def settled(self, seconds: float | None = None) -> None:
        """Return when nothing is under way any more, or after so many seconds."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def _break_off(self) -> None:
        for task in self._under_way:
            task.cancel()
        await self.settled()

    async def _deliver(self, due: Due) -> None:
        """What breaks here is told without its words: they might show the URL. The delivery comes back when the hold on it ends."""
        try:
            await self._attempt(due)
        except Failure as failure:
            log.warning("webhook not settled; it is sent again", host=due.host, error=failure.message)
        except Exception as error:  # noqa: BLE001  see above
            log.error("webhook not settled; it is sent again", host=due.host, error=type(error).__name__)  # noqa: TRY400  see above

    async def _attempt(self, due: Due) -> None:
        at, began = self._mail.now(), time.perf_counter()
        with tracing.span("webhook", attributes={"clip.job.id": str(due.job_id)}, otherwise=due.traceparent):
            outcome = await self._sent(due, at)
        seconds = time.perf_counter() - began
        fault_point("api", "webhook_sent", due.job_id)
        verdict = verdict_on(outcome, due.tries, at, self._mail.chance())
        attempt = Attempt(at=at, status=outcome.status or UNSET, error=outcome.trouble or UNSET, milliseconds=round(seconds * 1000))
        await self._mail.deliveries.settle(due, attempt, verdict, self._mail.now())
        stopped = await self._mail.deliveries.stop(due.tenant, due.url, due.host) if verdict.state is State.STOPPED else 0
        SECONDS.observe(seconds)
        ATTEMPTS.labels("retried" if verdict.state is State.PENDING else verdict.state).inc()
        said = {"status": outcome.status, "error": outcome.trouble, "seconds": round(seconds, 3), "stopped": stopped}
        log.info("webhook", host=due.host, job_id=str(due.job_id), state=verdict.state, tries=due.tries, **said)

    async def _sent(self, due: Due, at: datetime) -> Outcome:
        """Never unsigned."""
        keys = await self._mail.secrets.keys(due.tenant, at)
        if not keys:
            return Outcome(trouble=Trouble.NO_SECRET)
        return await self._mail.post(due.url, signed_headers(due.id, at, due.body, keys), due.body)

    async def upkeep(self) -> None:
        """Measure and sweep, each when it is time."""
        now = self._mail.now()
        if now - self._measured >= MEASURE:
            self._measured = now
            backlog = await self._mail.deliveries.backlog(now)
            PENDING.set(backlog.pending)
            OLDEST.set(backlog.age)
            OVERDUE.set(backlog.overdue)
        if now - self._swept >= SWEEP:
            self._swept = now
            await self._mail.deliveries.sweep(now - self._mail.keep)
            await self._mail.secrets.sweep(now)
