"""How the end of a job becomes a delivery: written with what tells that the job is over, in one transaction, and sent by sender.py."""

from datetime import datetime
from importlib.resources import files
from typing import Annotated, Literal, cast
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta, Struct

from libs.common.domain.job import Job
from libs.common.runtime.postgres import Connection
from services.api.views import JobView, job_view
from services.api.webhooks.callback_url import host_of

Ended = Literal["job.done", "job.failed", "job.cancelled"]
ENDS = frozenset({"done", "failed", "cancelled"})
INSERT = files(__package__).joinpath("outbox.sql").read_text()


class Payload(Struct, frozen=True, kw_only=True):
    """A webhook's body."""

    type: Ended
    timestamp: Annotated[datetime, Meta(description="When the job ended.")]
    data: Annotated[JobView, Meta(description="The job, as GET /api/jobs/{id} gives it then.")]


class Order(Struct, frozen=True):
    """A delivery that is to be made; the parameters of outbox.sql."""

    id: UUID
    job_id: UUID
    run: int
    tenant: str
    type: Ended
    url: str
    host: str
    body: bytes
    created_at: datetime


async def enqueue(connection: Connection, job: Job) -> None:
    """Tell the client of this job's end, once for each of its runs however often this is called. For a job that asked for it."""
    if order := order_of(job):
        await connection.execute(INSERT, *msgspec.structs.astuple(order))


def order_of(job: Job) -> Order | None:
    """None for a job that is not over, has expired, or names nobody to be told."""
    url = job.requested.callback_url if job.requested else None
    if url is None or job.status not in ENDS or job.id is None or job.updated_at is None:
        return None
    kind = cast("Ended", f"job.{job.status}")
    body = msgspec.json.encode(Payload(type=kind, timestamp=job.updated_at, data=job_view(job)))
    return Order(delivery_id(job.id, job.run), job.id, job.run, job.tenant, kind, url, host_of(url), body, job.updated_at)


def delivery_id(job_id: UUID, run: int) -> UUID:
    """The webhook-id, the same at every attempt."""
    return uuid5(job_id, f"webhook:{run}")
