"""The events of all jobs as one feed, in commit order: none missed, none twice, resumable from a cursor. Its SQL is in event_feed.sql.

It polls: NOTIFY takes a lock that all commits share, and tells nobody who isn't listening just then (docs/decisions.md).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import DecodeError
from prometheus_client import Gauge

from libs.common.domain.events import Envelope, decode, is_known
from libs.common.domain.failures import Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool, Statements, open_pool

log = logger(__name__)
FEED_LAG = Gauge("clip_feed_lag_seconds", "Age of the oldest event that the feed's readers have not been given yet; 0 when there is none")

PAGE = 500
POLL = 0.25
"""Seconds between two looks at a feed that is read to its end."""
MOST_XID, MOST_POSITION = 2**64 - 1, 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the feed; reading goes on behind it. Its text form is `txid.position`."""

    txid: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"{self.txid}.{self.position}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises ValueError for what is no cursor's text."""
        txid, _, position = text.partition(".")
        for part, most in ((txid, MOST_XID), (position, MOST_POSITION)):
            if not (part.isascii() and part.isdecimal() and len(part) <= len(str(most)) and int(part) <= most):
                raise ValueError("a cursor is two numbers with a dot between them")
        return cls(int(txid), int(position))


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its place in the feed and its number among its job's events."""

    cursor: Cursor
    seq: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Batch:
    """Some entries, and where to go on behind them: beyond the last one where what follows is known to be of no interest."""

    entries: Sequence[Entry]
    cursor: Cursor
    is_last: bool
    """Whether the feed's end was reached. The end moves on; a transaction left open holds it back."""


class EventFeed:
    """All committed events. A reader gives the types that it wants, or gets every one that this version knows."""

    def __init__(self, pool: Pool) -> None:
        self._sql = Statements(pool, "event_feed.sql")

    async def end(self) -> Cursor:
        """Where to begin in order to see only what comes from now on. Raises Failure(outage="postgres")."""
        return Cursor(await self._sql.value("end"))

    async def page(self, after: Cursor, *, types: Collection[str] | None = None, limit: int = PAGE) -> Batch:
        """At most `limit` entries behind a cursor, at once. Raises Failure(outage="postgres")."""
        wanted = None if types is None else list(types)
        rows = await self._sql.rows("page", after.txid, after.position, wanted, limit)
        found = [row for row in rows if row["position"] is not None]
        is_last = len(found) < limit
        FEED_LAG.set(max(0.0, (rows[0]["withheld"] or 0.0) if is_last else found[-1]["age"]))
        end = max(after, Cursor(rows[0]["horizon"])) if is_last else _place(found[-1])
        return Batch([entry for row in found if is_known(row["type"]) and (entry := _entry(row))], end, is_last)

    async def follow(
        self, after: Cursor, *, types: Collection[str] | None = None, limit: int = PAGE, poll: float = POLL
    ) -> AsyncIterator[Batch]:
        """Batches with at least one entry, for ever. An outage of the database is waited out."""
        while True:
            try:
                batch = await self.page(after, types=types, limit=limit)
            except Failure as failure:
                log.warning("the feed waits for the database", error=failure.message)
                await asyncio.sleep(poll)
                continue
            after = batch.cursor
            if batch.entries:
                yield batch
            if batch.is_last:
                await asyncio.sleep(poll)


def _place(row: Any) -> Cursor:
    return Cursor(row["txid"], row["position"])


def _entry(row: Any) -> Entry | None:
    """None for what can't be read: one event of another shape must not hold up all that come behind it."""
    try:
        return Entry(_place(row), row["seq"], decode(row["envelope"]))
    except DecodeError as error:
        log.error("an event can't be read and is passed over", type=row["type"], position=row["position"], error=str(error))  # noqa: TRY400  the text says it all
        return None


@asynccontextmanager
async def open_event_feed(url: str) -> AsyncIterator[EventFeed]:
    """A feed over a connection or two of its own: a slow reader takes none from those who write."""
    async with open_pool(url, connections=2) as pool:
        yield EventFeed(pool)
