"""What the database tells of many jobs at once, and whether a bucket is the one that it speaks of.

A wrong DATABASE_URL or bucket shows itself there: what no job names is then somebody else's, and no job has lost its files.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from uuid import UUID, uuid4

import msgspec

from libs.common.domain.events import Envelope, decode, is_known
from libs.common.domain.job import Job, fold
from libs.common.runtime.object_store import Bucket
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.janitor.lost_files import sources_of

UNKNOWN = "files left alone: the sources' bucket has none of any finished job that the database knows"
KeysOf = Callable[[Job], tuple[str, ...]]


def sql_of(c: Connections) -> Statements:
    return Statements(c.pool, "storage.sql", "services.janitor")


async def histories(sql: Statements, ids: list[UUID]) -> list[list[Envelope]]:
    """By id; one that no version of ours wrote is left out: it must not hold up the others."""
    rows = [row for row in await sql.rows("histories", ids) if is_known(row["type"])]
    found = [_readable(row["envelope"] for row in of) for _, of in groupby(rows, key=lambda row: row["job_id"])]
    return [history for history in found if history]


def _readable(envelopes: Iterable[str]) -> list[Envelope]:
    try:
        return [decode(each) for each in envelopes]
    except msgspec.DecodeError:
        return []


async def is_known_to(sql: Statements, bucket: Bucket, keys_of: KeysOf) -> bool:
    """Whether the bucket has a file of any of some jobs that are over and not expired. Of an idle system there may be none: False."""
    now = datetime.now(UTC)
    for after in (uuid4(), UUID(int=0)):
        ids = [row["job_id"] for row in await sql.rows("kept", after, now)]
        for history in await histories(sql, ids):
            if (keys := keys_of(fold(history))) and await bucket.head(keys[0]):
                return True
    return False


def knows_sources(c: Connections) -> Callable[[], Awaitable[bool]]:
    """Asked before anything goes from the sources' bucket for which the database has no word."""
    return partial(is_known_to, sql_of(c), c.objects.sources, sources_of)
