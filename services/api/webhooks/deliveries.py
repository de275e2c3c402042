"""The table of deliveries: what is due, what became of it, and what clients see of it. SQL in deliveries.sql."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.runtime.postgres import Pool, Statements
from services.api.webhooks.attempts import Attempt, State, Verdict
from services.api.webhooks.turns import Full, Waiting

HOLD = timedelta(seconds=60)
"""After which a sender that has taken a delivery is taken to have died: far above the time limit of one attempt."""
OF_EACH = 64
"""Deliveries of one tenant that are looked at in one turn."""
AT_ONCE = 5000
"""Rows that one statement of the sweep deletes."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that this sender has taken. Its URL is not for logs; its host is."""

    id: UUID
    job_id: UUID
    tenant: str
    url: str
    host: str
    body: bytes
    tries: int
    claim: UUID
    traceparent: str | None = None
    """Of the job, as it was asked for."""

    def __repr__(self) -> str:
        return f"Due(id={self.id}, host={self.host})"


class DeliveryView(Struct, frozen=True, kw_only=True, rename="camel"):
    id: Annotated[UUID, Meta(description="The webhook-id, the same at every attempt.")]
    type: Annotated[str, Meta(description="job.done, job.failed or job.cancelled.")]
    run: Annotated[int, Meta(description="1, and one more for each time that the job ran again.")]
    state: Annotated[State, Meta(description="stopped: the receiver answered 410 to this one, or to another for the same URL.")]
    created_at: datetime
    next_attempt_at: Annotated[datetime | UnsetType, Meta(description="Of a pending one, about.")] = UNSET
    attempts: Annotated[tuple[Attempt, ...], Meta(description="The last 50, oldest first.")]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries that are not over; seconds since the oldest was ordered, and that one has waited for a sender though it is due."""

    pending: int
    age: float
    overdue: float


class Deliveries:
    """Every verb raises Failure(outage="postgres") when the database can't be reached."""

    def __init__(self, pool: Pool) -> None:
        self._sql = Statements(pool, "deliveries.sql", __package__)

    async def waiting(self, now: datetime, full: Full, tenants: int) -> list[Waiting]:
        """What is due, the oldest of each of so many tenants at most, these by chance; nothing for who has all places already."""
        return [Waiting(**row) for row in await self._sql.rows("waiting", now, full.tenants, full.hosts, tenants, OF_EACH)]

    async def take(self, now: datetime, ids: Sequence[UUID]) -> list[Due]:
        """Those of them that are due still."""
        claim = uuid4()
        return [Due(**row, claim=claim) for row in await self._sql.rows("take", now, now + HOLD, claim, ids)] if ids else []

    async def settle(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> None:
        """Nothing, if another sender has taken over by now."""
        again = now + timedelta(seconds=verdict.delay)
        await self._sql.rows("settle", due.id, due.claim, verdict.state, again, msgspec.json.encode(attempt).decode())

    async def stop(self, tenant: str, url: str, host: str) -> int:
        """End all that the tenant has pending for this URL."""
        return len(await self._sql.rows("stop", tenant, url, host))

    async def of_job(self, job_id: UUID) -> list[DeliveryView]:
        """By run."""
        return [_view(row) for row in await self._sql.rows("of_job", job_id)]

    async def again(self, job_id: UUID, delivery_id: UUID, now: datetime) -> DeliveryView | None:
        """Due now, with all its tries before it; None when the job has no such delivery."""
        row = await self._sql.row("again", delivery_id, job_id, now)
        return _view(row) if row else None

    async def backlog(self, now: datetime) -> Backlog:
        row = await self._sql.row("backlog")
        age, overdue = (max(0.0, (now - row[name]).total_seconds()) if row[name] else 0.0 for name in ("oldest", "due"))
        return Backlog(row["pending"], age, overdue)

    async def sweep(self, before: datetime) -> None:
        """Delete what was ordered before then."""
        while len(await self._sql.rows("sweep", before, AT_ONCE)) == AT_ONCE:
            pass


def _view(row: Any) -> DeliveryView:
    state = State(row["state"])
    return DeliveryView(
        id=row["id"],
        type=row["type"],
        run=row["run"],
        state=state,
        created_at=row["created_at"],
        next_attempt_at=row["due_at"] if state is State.PENDING else UNSET,
        attempts=msgspec.json.decode(row["attempts"], type=tuple[Attempt, ...]),
    )
