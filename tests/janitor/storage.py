"""Jobs with their files in buckets of their own, for what looks through the whole storage."""

from typing import Any
from uuid import UUID, uuid4

from libs.common.domain.events import Envelope
from libs.common.runtime.object_store import Bucket
from services.janitor.findings import Finding, Seen
from services.janitor.orphans import look_through
from tests.builders import burned, envelope, ready, requested, transcribed, uploaded
from tests.janitor.conftest import World
from tests.janitor.steps import ago

LONG_AGO = 7200
VARIABLES = {"ORPHANS_GRACE_HOURS": "0.000000001", "CLEANUP_PAUSE_MS": "1"}


def variables(world: World) -> dict[str, str]:
    """Of a process in the same world."""
    buckets = {"S3_SOURCES_BUCKET": world.settings.s3_sources_bucket, "S3_RESULTS_BUCKET": world.settings.s3_results_bucket}
    return {**world.own.variables, **buckets, **VARIABLES}


async def looked(world: World, *, act: bool = True) -> tuple[Seen, list[Finding]]:
    found: list[Finding] = []
    return await look_through(world.settings, world.c, act=act, tell=found.append), found


async def put(bucket: Bucket, *keys: str) -> None:
    for key in keys:
        await bucket.put(key, b"bytes", "video/mp4")


async def keys(bucket: Bucket) -> list[str]:
    return [found.key async for found in bucket.list("")]


async def is_ours() -> bool:
    """Where the look whether the database knows the bucket is not what is tested."""
    return True


def files(job_id: UUID) -> list[str]:
    return [f"results/{job_id}/{name}" for name in ("clip.mp4", "clip.srt", "clip.subbed.mp4", "thumb.jpg")]


async def finished_job(world: World, *, seconds_ago: float = LONG_AGO, source: bool = True, **fields: Any) -> UUID:
    """Done and closed, with subtitles, a burned clip and a poster, all of them in S3, and its upload too."""
    job_id = uuid4()
    clip, srt, subbed, thumb = files(job_id)
    upload = f"uploads/{job_id}/in.mp4"
    asked = {"with_subtitles": True, "burn_subtitles": True, "upload_key": upload, "expires_at": ago(-80 * 3600)}
    events = [
        requested(**asked | fields),
        ready(source_key=upload),
        uploaded(video_key=clip, thumbnail_key=thumb),
        transcribed(srt_key=srt),
        burned(video_key=subbed),
    ]
    for event in events:
        await world.store.append(envelope(event, job_id, at=ago(seconds_ago)))
    await world.store.close((await world.store.history(job_id))[-1:])
    await put(world.objects.results, *files(job_id))
    await put(world.objects.sources, *([upload] if source else []))
    return job_id


def last(history: list[Envelope]) -> Any:
    return history[-1].event
