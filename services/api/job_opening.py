"""New jobs written to the database: their events, and in the same transaction what the lists know of them.

A client's cap holds across replicas.
"""

from collections.abc import Sequence
from uuid import UUID

from libs.common.domain.events import ClipsRequested, Envelope, encode
from libs.common.domain.failures import Code, Failure
from services.api.read_model import LANES, ReadModel

BUSY_AGAIN = 2.0
"""Retry-After in seconds: nobody knows when one of the client's jobs ends."""


class JobOpening:
    """`cap`s are the jobs that a client may have queued or at work at once; 0 is no cap."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._sql = model.sql

    async def open(self, envelopes: Sequence[Envelope], cap: int) -> None:
        """Requests of one client, all of them or none; those that stand already stay as they are.

        Raises Failure: TOO_MANY_ACTIVE_JOBS; outage="postgres", when they may yet have been written.
        """
        asked = _requests(envelopes)[0]
        values = (
            [envelope.id for envelope in envelopes],
            [envelope.job_id for envelope in envelopes],
            [envelope.at for envelope in envelopes],
            [encode(envelope).decode() for envelope in envelopes],
            [request.expires_at for request in _requests(envelopes)],
            *(asked.tenant, asked.client, asked.group_id, asked.source_type, LANES[envelopes[0].priority]),
        )
        if not cap:
            await self._sql.rows("open", *values)
        elif not await self._within(asked.client, cap - len(envelopes), "open", values):
            await self._model.project(await self._active(asked.client))  # the lists may be a moment behind
            if not await self._within(asked.client, cap - len(envelopes), "open", values):
                raise _too_many(cap)

    async def reserve(self, job_id: UUID, client: str, cap: int) -> None:
        """The place of a job that is to run again. Raises Failure as `open` does."""
        if cap and not await self._within(client, cap - 1, "reserve", (job_id,)):
            await self._model.project(await self._active(client))
            if not await self._within(client, cap - 1, "reserve", (job_id,)):
                raise _too_many(cap)

    async def _within(self, client: str, most: int, statement: str, values: tuple[object, ...]) -> bool:
        """Run the statement if the client has at most so many active jobs; one request of a client at a time."""
        async with self._sql.transaction(statement) as connection:
            await connection.execute(self._sql["lock"], client)
            active = await connection.fetch(self._sql["active"], client)
            if len(active) > most:
                return False
            await connection.execute(self._sql[statement], *values)
            return True

    async def _active(self, client: str) -> list[UUID]:
        return [row["job_id"] for row in await self._sql.rows("active", client)]


def _requests(envelopes: Sequence[Envelope]) -> list[ClipsRequested]:
    return [envelope.event for envelope in envelopes if isinstance(envelope.event, ClipsRequested)]


def _too_many(cap: int) -> Failure:
    return Failure(Code.TOO_MANY_ACTIVE_JOBS, f"at most {cap} of your jobs may be under way at once", retry_after=BUSY_AGAIN)
