"""Gathers what a run left, once it is quiet, for checker.py to judge."""

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import av

from libs.common.domain.job import Job
from libs.common.domain.subjects import CLIPS, DLQ, canary
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.object_store import ObjectStore, open_object_store
from libs.common.runtime.settings import CommonSettings, load
from libs.common.runtime.source_cache import open_source_cache
from libs.common.runtime.stored_messages import StoredMessages
from services.janitor.report import Report
from services.janitor.settings import JanitorSettings
from services.janitor.source_cache import ORPHANED_AFTER, Eviction
from tests.chaos.checker import Evidence, Letter
from tests.chaos.system import POLL, System
from tests.runtime.own_nats import connected_bus

SETTLING_SECONDS = 20.0


async def gathered(system: System, *, looked_at: int = 12, seed: int = 0) -> Evidence:
    """Waits until nothing is in flight any more, or for too long. `looked_at` jobs are fetched by their URLs and decoded."""
    async with connected_bus(system.environ["NATS_URL"]) as bus, _objects(system) as objects:
        await _settled(system, bus)
        await _sweep(system, objects)
        rows, jobs = await system.rows(), await system.jobs()
        done = sorted((job_id for job_id, job in jobs.items() if job.status == "done"), key=str)
        some = random.Random(seed).sample(done, min(looked_at, len(done)))
        served, frames = await _fetched(system, {job_id: jobs[job_id] for job_id in some})
        return Evidence(
            expected=system.submissions.expected,
            accepted=system.submissions.accepted,
            rows=rows,
            queued=[
                f"{found.subject} {found.headers.get('Clip-Job-Id')}"
                async for found in StoredMessages(bus, CLIPS).walk(">")
                if found.subject != canary(CLIPS)
            ],
            letters=[letter async for letter in _letters(bus)],
            objects={found.key: found.size for bucket in (objects.sources, objects.results) async for found in bucket.list("")},
            cached=frozenset(row["object_key"] for row in await system.sql("SELECT object_key FROM source_fetches") if row["object_key"]),
            uploads=await _unfinished(objects),
            served=served,
            frames=frames,
            orphans=system.orphans,
            untidy=system.leavings[0],
            max_attempts=int(system.environ.get("QUEUE_MAX_ATTEMPTS", "3")),
        )


async def _settled(system: System, bus: JetStreamBus) -> None:
    """Every message acked, every scratch folder removed, every child gone; whatever is not by then is a finding."""
    end = time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < end:
        queued = await StoredMessages(bus, CLIPS).count()
        if not (queued or system.leavings[0] or system.orphans):
            return
        await asyncio.sleep(POLL)


async def _sweep(system: System, objects: ObjectStore) -> None:
    """What a killed resolver had fetched and not yet named is the janitor's to delete, an hour later: this is that look of its."""
    settings = load(JanitorSettings, system.environ)
    async with open_source_cache(settings.database_url.reveal(), holder="chaos", connections=1) as cache:
        later = datetime.now(UTC) + 2 * ORPHANED_AFTER
        await Eviction(cache, objects.sources, settings, _is_ours, now=lambda: later).clean_orphans(Report())


async def _is_ours() -> bool:
    return True


async def _letters(bus: JetStreamBus) -> AsyncIterator[Letter]:
    async for found in StoredMessages(bus, DLQ).walk("dlq.>"):
        named = found.headers.get("Clip-Job-Id")
        yield Letter(found.sequence, UUID(named) if named else None, found.headers.get("Clip-Stage", ""))


async def _fetched(system: System, jobs: dict[UUID, Job]) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes by key through the signed URLs of the results, and frames by key of the videos."""
    served: dict[str, int] = {}
    frames: dict[str, int] = {}
    for job_id in jobs:
        async with system.http.get(f"/api/jobs/{job_id}/result") as answer:
            result = (await answer.json()).get("result", {})
        for file in (value for value in result.values() if isinstance(value, dict)):
            content = await _content(system.http, file["url"])
            served[file["key"]] = -1 if content is None else len(content)
            if content and file["key"].endswith(".mp4"):
                frames[file["key"]] = await asyncio.to_thread(pictures, content)
    return served, frames


async def _content(http: aiohttp.ClientSession, url: str) -> bytes | None:
    async with http.get(url) as answer:
        return await answer.read() if answer.status == 200 else None


def pictures(content: bytes) -> int:
    """Frames that decode; -1 when one does not."""
    try:
        with av.open(io.BytesIO(content)) as container:
            return sum(1 for _ in container.decode(video=0))
    except av.error.FFmpegError:
        return -1


async def _unfinished(objects: ObjectStore) -> list[str]:
    found = []
    for bucket in (objects.sources, objects.results):
        with suppress(Exception):  # not every S3 lists them; rclone keeps them in memory alone
            answer = await bucket._client.list_multipart_uploads(Bucket=bucket.name)
            found += [f"unfinished upload {upload['Key']}" for upload in answer.get("Uploads", ())]
    return found


@asynccontextmanager
async def _objects(system: System) -> AsyncIterator[ObjectStore]:
    async with open_object_store(load(CommonSettings, system.environ)) as objects:
        yield objects
