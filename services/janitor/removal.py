"""Files of expired jobs, taken out of both buckets: by the names that their histories give, or by what S3 lists where those are not all."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from libs.common.domain.failures import Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.object_store import Bucket, ObjectStore
from services.janitor.expiry import Files
from services.janitor.storage_walk import owner_of

log = logger(__name__)
LISTINGS = 16
"""Folders that S3 is asked about at once."""


async def removed(objects: ObjectStore, files: Mapping[UUID, Files]) -> set[UUID]:
    """Delete the jobs' files. The jobs of which S3 keeps some, or would not say. Raises Failure when S3 is away."""
    unsure = [job for job, of_job in files.items() if not of_job.is_all]
    sources = {key: job for job, of_job in files.items() for key in of_job.sources}
    results = {key: job for job, of_job in files.items() for key in of_job.results}
    untold = await _listed(objects.sources, "sources", unsure, sources) | await _listed(objects.results, "results", unsure, results)
    kept = await asyncio.gather(kept_of(objects.sources, list(sources)), kept_of(objects.results, list(results)))
    return untold | {sources[key] for key in kept[0]} | {results[key] for key in kept[1]}


async def _listed(bucket: Bucket, folder: str, jobs: Iterable[UUID], keys: dict[str, UUID]) -> set[UUID]:
    """Add what is in the jobs' folders to `keys`; the jobs whose folder S3 would not show."""
    places = asyncio.Semaphore(LISTINGS)

    async def look(job: UUID) -> UUID | None:
        try:
            async with places:
                keys.update({found.key: job async for found in bucket.list(f"{folder}/{job}/") if owner_of(found.key)})
        except Failure as failure:
            refused(failure, 1)
            return job
        return None

    return {job for job in await asyncio.gather(*map(look, jobs)) if job}


async def kept_of(bucket: Bucket, keys: Sequence[str]) -> set[str]:
    """Delete objects; those that S3 keeps, all of them where it refuses. Raises Failure when it is away."""
    try:
        kept = await bucket.discard(keys)
    except Failure as failure:
        refused(failure, len(keys))
        return set(keys)
    if kept:
        log.error("the file store kept files that it was to delete", files=len(kept), sample=min(kept))
    return kept


def refused(failure: Failure, files: int) -> None:
    """To be tried again another time. Raises an outage, which ends the sweep."""
    if failure.outage:
        raise failure
    log.error("files can't be deleted", files=files, error=failure.message)
