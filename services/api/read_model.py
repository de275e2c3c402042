"""The read model: a row for each job, as the fold tells it, that lists, filters and queue positions ask. Its SQL is in read_model.sql.

It follows the events and can be made anew from them at any time (`python -m services.api.rebuild_command`), with the same result.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import accumulate, chain
from typing import Any
from uuid import UUID

from msgspec import DecodeError, Struct

from libs.common.domain.events import (
    CANCELLED,
    Envelope,
    JobReplayed,
    Priority,
    StageProgress,
    StageRetried,
    StageStarted,
    decode,
    is_known,
    known_types,
    type_of,
)
from libs.common.domain.failures import Failure
from libs.common.domain.job import Job, apply
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.event_feed import Cursor, Entry, EventFeed
from libs.common.runtime.event_store import EventStore
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Connection, Pool, Statements

log = logger(__name__)
POLL = 0.5
"""Seconds between two looks at the feed that is read to its end."""
TAKE_OVER = 2.0
"""Seconds between two tries to be the one that writes."""
LANES = {Priority.FAST: 0, Priority.NORMAL: 1, Priority.BULK: 2}
FOLLOWED = known_types() - {type_of(StageProgress), type_of(StageRetried)}
"""What can change a row."""
NEWS = timedelta(days=1)
"""A job that ended longer ago is told to nobody: the rows are being made anew."""
PAGE = 200
"""Events in one transaction."""
BREATH = 100
"""Events read between two moments for others."""
History = tuple[list[Envelope], int]
Ended = Callable[[Connection, Job], Awaitable[None]]


class Row(Struct, frozen=True):
    """A job as lists know it. `seq` is the number of its last event; `begun_at` is when its first stage began.

    `stage` is where it is or ended; `error_code` is why it failed, or why its subtitles are missing.
    """

    job_id: UUID
    tenant: str
    client: str
    group_id: UUID | None
    source_type: str
    lane: int
    status: str
    created_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    seq: int
    stage: str | None
    error_code: str | None


def row_of(job: Job, history: Sequence[Envelope], seq: int) -> Row | None:
    """Of the job that the history folds to. None for one that no list shows: it has expired, or was never opened."""
    asked = job.requested
    if asked is None or job.status == "expired" or job.id is None or job.created_at is None:
        return None
    return Row(
        job.id,
        asked.tenant,
        next((one.event.client for one in reversed(history) if isinstance(one.event, JobReplayed) and one.event.client), asked.client),
        asked.group_id,
        asked.source_type,
        LANES[job.priority],
        job.status,
        job.created_at,
        next((envelope.at for envelope in history if isinstance(envelope.event, StageStarted)), None),
        job.updated_at if job.is_over else None,
        seq,
        job.stage,
        error_code(job),
    )


def error_code(job: Job) -> str | None:
    """Of the job's failure, or of the first optional one; what a client cancelled has none."""
    failures = [job.failure] if job.failure else job.optional_failures.values()
    return next((failure.code for failure in failures if failure.code != CANCELLED), None)


def ends(states: Sequence[Job]) -> Iterator[Job]:
    """The job as it was at the end of each run that has ended: a run may follow before anybody looked."""
    for job, following in zip(states, [*states[1:], None], strict=True):
        if job.is_over and (following is None or following.run > job.run):
            yield job


class SetBackError(Exception):
    """The place in the feed is another than we began at: somebody wants the rows made anew, or writes them too."""


async def _histories(rows: Iterable[Any]) -> dict[UUID, History]:
    found: dict[UUID, History] = defaultdict(lambda: ([], 0))
    for number, row in enumerate(rows):
        history = found[row["job_id"]][0]
        if is_known(row["type"]):
            with passed_over(row["job_id"]):
                history.append(decode(row["envelope"]))
        found[row["job_id"]] = (history, row["seq"])
        if number % BREATH == 0:
            await asyncio.sleep(0)
    return found


@contextmanager
def passed_over(job_id: UUID) -> Iterator[None]:
    """One event of another shape must not hold up all jobs."""
    try:
        yield
    except DecodeError as error:
        log.error("an event can't be read and is passed over", job_id=str(job_id), error=str(error))  # noqa: TRY400  the text says it all


class ReadModel:
    """The rows, and their one writer among the API's replicas. `ended` is told of each end of a job, in the same transaction."""

    def __init__(self, pool: Pool, store: EventStore, ended: Ended) -> None:
        self.sql = Statements(pool, "read_model.sql", "services.api")
        self._feed = EventFeed(pool)
        self._store = store
        self._ended = ended

    async def histories(self, job_ids: Collection[UUID]) -> dict[UUID, History]:
        """Of each job that has events: those that can be read, without progress that more followed; and the last one's number."""
        return await _histories(await self.sql.rows("histories", list(job_ids)))

    async def project(self, job_ids: Collection[UUID], moved: tuple[Cursor, Cursor] | None = None) -> None:
        """Make the rows of these jobs what their events say, and note how far the feed was read: from there to there, or nothing at all."""
        with suppress(SetBackError):
            async with self.sql.transaction("project") as connection:
                await connection.execute(self.sql["hold"], sorted(job_ids))
                found = await _histories(await connection.fetch(self.sql["histories"], list(job_ids)))
                await self._write(connection, {job_id: found.get(job_id, ([], 0)) for job_id in sorted(job_ids)})
                if moved:
                    await self._move(connection, *moved)

    async def _move(self, connection: Connection, begun: Cursor, ended: Cursor) -> None:
        places = (ended.txid, ended.position, begun.txid, begun.position)
        if not await connection.fetchval(self.sql["move"], *places):
            raise SetBackError

    async def _write(self, connection: Connection, found: Mapping[UUID, History]) -> None:
        """All rows with one statement: a job that was only just opened is one of hundreds."""
        states = {job_id: list(accumulate(history, apply, initial=Job())) for job_id, (history, _) in found.items()}
        rows = {job_id: row_of(states[job_id][-1], history, seq) for job_id, (history, seq) in found.items()}
        if kept := [row for row in rows.values() if row]:
            await connection.execute(self.sql["keep"], *([getattr(row, name) for row in kept] for name in Row.__struct_fields__))
        if gone := [job_id for job_id, row in rows.items() if row is None]:
            await connection.execute(self.sql["drop"], gone)
        for job in chain.from_iterable(ends(states[row.job_id]) for row in kept):
            if job.updated_at and datetime.now(UTC) - job.updated_at < NEWS:
                await self._ended(connection, job)

    async def follow(self) -> None:
        """For ever: as the one writer where no other is, else waiting to become it."""
        await for_ever("read model", self._lead, every(TAKE_OVER))

    async def _lead(self) -> None:
        async with self._store.lease("read model") as ours:
            if ours:
                await self._follow()

    async def _follow(self) -> None:
        while True:
            if await self.catch_up():
                await asyncio.sleep(POLL)

    async def catch_up(self) -> bool:
        """One page of the feed, behind what was read before; True at the feed's end. Raises Failure."""
        row = await self.sql.row("place")
        if row is None:
            await self.sql.rows("begin", 0, 0)
            return False
        place = Cursor(row["txid"], row["position"])
        batch = await self._feed.page(place, types=FOLLOWED, limit=PAGE)
        if batch.entries or not batch.is_last:
            await self._project_all(await self._changed(batch.entries), (place, batch.cursor))
        return batch.is_last

    async def _changed(self, entries: Sequence[Entry]) -> set[UUID]:
        """The jobs whose rows may say something else by now: of one that was only opened, the row was written with it."""
        moved = {entry.envelope.job_id for entry in entries if entry.seq > 1}
        opened = {entry.envelope.job_id for entry in entries} - moved
        return moved | {row["job_id"] for row in await self.sql.rows("unlisted", list(opened))}

    async def _project_all(self, job_ids: Collection[UUID], moved: tuple[Cursor, Cursor]) -> None:
        """One job that can't be told must not hold up all that come behind it."""
        try:
            await self.project(job_ids, moved)
        except Failure:
            raise
        except Exception:
            log.exception("a page of the feed is gone through job by job")
            for job_id in job_ids:
                await self._project_alone(job_id)
            await self.project([], moved)

    async def _project_alone(self, job_id: UUID) -> None:
        try:
            await self.project([job_id])
        except Failure:
            raise
        except Exception:
            log.exception("a job is not in the lists as it stands", job_id=str(job_id))

    async def rebuild(self) -> None:
        """Forget all rows; the writer makes them anew from the first event on, when it begins again."""
        await self.sql.rows("rebuild")
