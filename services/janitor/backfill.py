"""When a job's time is up after RETENTION_HOURS has changed. Decides only; backfill_expiry_command.py asks and acts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

JITTER = timedelta(minutes=1)
"""Between a request's time and that from which its end was counted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A job that has not expired: when it was asked for, until when it is kept, and whether it may be under way."""

    job_id: UUID
    asked_at: datetime
    expires_at: datetime
    is_open: bool


class Backfilled(msgspec.Struct, kw_only=True, rename="camel"):
    """Jobs, by what becomes of them."""

    due: int = 0
    """Those that have the former retention, and get the present one."""
    in_flight: int = 0
    others: int = 0
    """Those whose client asked for another end, or that have the present one."""
    changed: int = 0
    """Of those that are due, those that were written."""

    @property
    def words(self) -> str:
        return (
            f"{self.due} jobs get the present retention, {self.changed} of them are written. "
            f"Left as they are: {self.in_flight} in flight, {self.others} that were kept for another time."
        )


def due(jobs: Iterable[Kept], was: timedelta, retention: timedelta, count: Backfilled) -> dict[UUID, datetime]:
    """The new ends. A job in flight keeps its own, and so does one that a client wanted kept for another time. Counts what is decided."""
    ends: dict[UUID, datetime] = {}
    for job in jobs:
        if abs(job.expires_at - job.asked_at - was) > JITTER:
            count.others += 1
        elif job.is_open:
            count.in_flight += 1
        else:
            ends[job.job_id] = job.expires_at + retention - was
            count.due += 1
    return ends
