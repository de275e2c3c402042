"""The daily look at the storage: objects whose job is unknown or expired are removed here; jobs without their objects are missing.py's.

Fetched sources that jobs share are source_cache.py's, uploads are retention's. Each step may be repeated.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import every, for_ever
from libs.common.runtime.fault_points import fault_point
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket, ObjectInfo, ObjectStore
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import Connections
from services.janitor.findings import Doubt, Finding, Foreign, Kind, Missing, Orphan, Seen, Tell, words
from services.janitor.known_jobs import KeysOf, is_known_to, sql_of
from services.janitor.lost_files import results_of, sources_of
from services.janitor.metrics import ORPHAN_OBJECTS
from services.janitor.missing import MissingFiles
from services.janitor.schedule import alone
from services.janitor.settings import JanitorSettings
from services.janitor.storage_walk import CACHE, in_pages, owner_of

log = logger(__name__)
PAGE = 1000
"""As many as S3 lists, and deletes, in one request."""
KEYS_OF: dict[Kind, KeysOf] = {"result": results_of, "source": sources_of}
NO_JOBS = "the database knows no job at all, so nothing is removed from the storage; check that DATABASE_URL is the right one"


async def sweep_storage(settings: JanitorSettings, c: Connections) -> None:
    """The task: one janitor at a time looks through the storage and repairs, for ever."""

    async def look() -> None:
        seen = await look_through(settings, c, act=not settings.cleanup_dry_run, tell=logged)
        log.info("storage looked through", **msgspec.to_builtins(seen))

    await for_ever("orphans", alone(c.store, "orphans", look), every(settings.orphans_every_sec, c.health))


async def look_through(settings: JanitorSettings, c: Connections, *, act: bool, tell: Tell) -> Seen:
    """One whole look; `act` False changes nothing. Raises Failure when a dependency is away: look again."""
    seen = Seen()

    def found(finding: Finding) -> None:
        seen.count(finding)
        tell(finding)

    sql = sql_of(c)
    known = await OrphanSweep(sql, c.objects, settings, found, seen, act).sweep()
    await MissingFiles(sql, c, settings, found, seen, act, is_sure=len(known) == len(KEYS_OF)).look()
    return seen


def logged(finding: Finding) -> None:
    """What there may be millions of is only counted."""
    if isinstance(finding, Missing):
        told = msgspec.structs.asdict(finding)
        log.warning("a job that is done lacks files", **{**told, "job_id": str(finding.job_id)})
    if isinstance(finding, Doubt):
        log.error("orphans were left alone", bucket=finding.bucket, error=words(finding))


@dataclass(frozen=True, slots=True)
class OrphanSweep:
    sql: Statements
    objects: ObjectStore
    settings: JanitorSettings
    tell: Tell
    seen: Seen
    act: bool
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def sweep(self) -> set[Kind]:
        """Page by page, so that memory stays flat and S3 gets a pause; what S3 keeps comes again with the next look.

        The kinds whose bucket is the one that the database speaks of: nothing goes from another.
        """
        before, known = self.now() - timedelta(hours=self.settings.orphans_grace_hours), set[Kind]()
        buckets: tuple[tuple[Kind, Bucket], ...] = (("result", self.objects.results), ("source", self.objects.sources))
        for kind, bucket in buckets:
            found = self.seen.orphans
            known |= {kind} if await is_known_to(self.sql, bucket, KEYS_OF[kind]) else set()
            async for page in in_pages(bucket.list(f"{kind}s/"), PAGE):
                self.seen.objects += len(page)
                await self.clean_page(kind, bucket, [each for each in page if each.modified < before], act=self.act and kind in known)
                await asyncio.sleep(self.settings.cleanup_pause_ms / 1000)
            if self.seen.orphans > found and kind not in known:
                self.tell(Doubt(kind=kind, bucket=bucket.name))
        return known

    async def clean_page(self, kind: Kind, bucket: Bucket, old: Iterable[ObjectInfo], *, act: bool) -> None:
        """A job writes its row before its first object, so what has none, a day later, never gets one."""
        folders = [(owner, list(found)) for owner, found in groupby(old, key=lambda each: owner_of(each.key))]
        living = await self.living({owner for owner, _ in folders if owner})
        orphans = [(owner, found) for owner, found in folders if owner and owner not in living]
        removed = bool(orphans) and act and await self.is_rid_of(bucket, [each.key for _, found in orphans for each in found])
        for owner, found in orphans:
            ORPHAN_OBJECTS.labels(kind).inc(len(found) if removed else 0)
            self.tell(Orphan(kind=kind, job_id=owner, objects=len(found), size=sum(each.size for each in found), removed=removed))
        self.pass_over(kind, [each for owner, found in folders if owner is None for each in found])

    async def living(self, owners: set[UUID]) -> set[UUID]:
        """Raises Failure where all jobs are unknown: the database is another one, or not filled yet."""
        if not owners:
            return set()
        rows = await self.sql.rows("living", owners)
        if not rows and not await self.sql.value("knows_jobs"):
            raise Failure(Code.INTERNAL, NO_JOBS)
        return {row["job_id"] for row in rows}

    def pass_over(self, kind: Kind, found: Iterable[ObjectInfo]) -> None:
        for each in found:
            if not each.key.startswith(CACHE):
                self.tell(Foreign(kind=kind, key=each.key))

    async def is_rid_of(self, bucket: Bucket, keys: list[str]) -> bool:
        """False when S3 keeps some."""
        fault_point("janitor", "orphans_found")
        try:
            await bucket.delete(keys)
        except Failure as failure:
            if failure.outage:
                raise
            log.error("orphans can't be deleted", bucket=bucket.name, error=failure.message)  # noqa: TRY400  the text says it all
            return False
        fault_point("janitor", "orphans_removed")
        return True
