"""How long a job will take: its place in the queue, and the pace at which jobs ended lately. Told by the read model; never exact."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import Struct

from libs.common.domain.events import Envelope, StageStarted
from libs.common.domain.job import Job
from libs.common.runtime.postgres import Statements
from services.api.read_model import LANES
from services.api.views import NO_OUTLOOK, Outlook

LATELY = timedelta(minutes=10)
SAMPLE = 200
"""Jobs, the last that ended, by which the pace is told."""
KEPT = 2.0
"""Seconds that a pace is good for."""
NEAR = 200
"""Places that are counted for each who asks; those behind are told to a STEP, by marks in the line that are looked up for all."""
STEP = 100
FARTHEST = 10_000
"""The last place that is told."""
Place = tuple[int, datetime, UUID]
"""Jobs go by lane, then by their creation."""


class Pace(Struct, frozen=True):
    """Jobs that end in a second, and the seconds that one usually takes from its first stage on; None where none ended lately."""

    rate: float | None = None
    typical: float | None = None


def waiting(position: int, pace: Pace) -> Outlook:
    """For a job with position - 1 before it."""
    if pace.rate is None or pace.typical is None:
        return Outlook(position=position)
    return Outlook(position, round(position / pace.rate + pace.typical, 1))


def working(elapsed: float, pace: Pace) -> Outlook:
    """For a job that was begun so many seconds ago; one that takes longer than most ends any moment."""
    return NO_OUTLOOK if pace.typical is None else Outlook(seconds=round(max(1.0, pace.typical - elapsed), 1))


class Queue:
    def __init__(self, statements: Statements) -> None:
        self._sql = statements
        self._pace, self._measured = Pace(), float("-inf")
        self._marks, self._marked = list[Place](), float("-inf")

    async def outlook(self, job: Job, history: Sequence[Envelope]) -> Outlook:
        """Asks the database only for a job that isn't over. Raises Failure(outage="postgres")."""
        if job.is_over or job.id is None:
            return NO_OUTLOOK
        if job.status == "queued" and job.created_at:
            before = await self._before((LANES[job.priority], job.created_at, job.id))
            return waiting(before + 1, await self.pace())
        begun = next((envelope.at for envelope in history if isinstance(envelope.event, StageStarted) and envelope.run == job.run), None)
        elapsed = (datetime.now(UTC) - begun).total_seconds() if begun else 0.0
        return working(elapsed, await self.pace())

    async def _before(self, place: Place) -> int:
        """Jobs that are in front: however many wait, asking costs no more."""
        before = int(await self._sql.value("ahead", *place, NEAR))
        if before < NEAR:
            return before
        if time.monotonic() - self._marked > KEPT:
            self._marked = time.monotonic()
            self._marks = [(row["lane"], row["created_at"], row["job_id"]) for row in await self._sql.rows("marks", STEP, FARTHEST)]
        return max(before, STEP * bisect_left(self._marks, place))

    async def pace(self) -> Pace:
        """At most KEPT seconds old."""
        if time.monotonic() - self._measured > KEPT:
            self._measured = time.monotonic()
            row = await self._sql.row("pace", LATELY, SAMPLE)
            within = max(row["within"] or 0.0, 1.0)
            self._pace = Pace(row["ended"] / within, row["typical"]) if row["ended"] else Pace()
        return self._pace
