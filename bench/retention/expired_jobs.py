"""Databases full of jobs whose time is up: histories of eight to twelve events, and S3 objects for some of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from libs.common.domain.events import (
    AnyEvent,
    AsrDone,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    SourceReady,
    StageName,
    StageProgress,
    StageRetried,
    StageStarted,
    encode,
    type_of,
)
from libs.common.runtime.object_store import ObjectStore

NOBODY = UUID("0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11")
"""Stands for the job in the template; each has its own in the table."""
BROKEN_EACH = 50
"""Of so many jobs one was cut at the second try: nobody knows by its history what the first one left."""
RESULTS = ("clip.mp4", "poster.jpg", "clip.srt", "clip.vtt", "clip.txt", "clip.json")
AT_ONCE = 32
LONG = 900.0

FILL = """
WITH jobs AS MATERIALIZED (SELECT gen_random_uuid() AS job_id, n FROM generate_series(1, $1) AS g (n)), indexed AS (
    INSERT INTO job_index (job_id, expires_at, open) SELECT job_id, now() - n * interval '6 milliseconds', false FROM jobs
)
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT gen_random_uuid(), job_id, t.seq, t.type, now() - interval '73 hours', replace(t.envelope, $2, job_id::text)::jsonb
FROM jobs JOIN unnest($3::int[], $4::int[], $5::text[], $6::text[]) AS t (kind, seq, type, envelope)
ON t.kind = CASE WHEN n % $7 = 0 THEN 2 ELSE n % 2 END
"""


async def filled(url: str, jobs: int) -> list[UUID]:
    """All are there after this; some of them, spread over the table."""
    templates = [(kind, seq, event) for kind, events in enumerate(_histories()) for seq, event in enumerate(events, 1)]
    lines = [(kind, seq, type_of(event), encode(_enveloped(event)).decode()) for kind, seq, event in templates]
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL, jobs, str(NOBODY), *map(list, zip(*lines, strict=True)), BROKEN_EACH, timeout=LONG)
        await connection.execute("VACUUM ANALYZE", timeout=LONG)
        rows = await connection.fetch("SELECT job_id FROM job_index ORDER BY job_id LIMIT $1", max(100, jobs // 100))
    finally:
        await connection.close()
    return [row["job_id"] for row in rows]


@asynccontextmanager
async def copy_of(url: str, name: str) -> AsyncIterator[str]:
    """A database like that one, for as long as inside; nobody may be connected to the original."""
    parts = urlsplit(url)
    connection = await asyncpg.connect(parts._replace(path="/template1").geturl())
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {parts.path[1:]} STRATEGY FILE_COPY", timeout=LONG)
        await connection.execute("CHECKPOINT", timeout=LONG)
        yield parts._replace(path=f"/{name}").geturl()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)", timeout=LONG)
    finally:
        await connection.close()


async def stored(objects: ObjectStore, jobs: Sequence[UUID]) -> int:
    """Put the jobs' objects there; how many they are."""
    places = asyncio.Semaphore(AT_ONCE)

    async def put(job: UUID) -> None:
        async with places:
            await objects.sources.put(f"sources/{job}/source.mp4", b"source", "video/mp4")
            for name in RESULTS:
                await objects.results.put(f"results/{job}/{name}", b"result", "video/mp4")

    await asyncio.gather(*map(put, jobs))
    return len(jobs) * (1 + len(RESULTS))


def _enveloped(event: AnyEvent) -> Envelope:
    return Envelope(id=NOBODY, job_id=NOBODY, at=datetime.now(UTC) - timedelta(hours=73), correlation_id="c", event=event)


def _histories() -> list[list[AnyEvent]]:
    """Done without subtitles, done with them, done at the second try."""
    asked = ClipsRequested(source_type="youtube", source_url="https://example.com/film", start=10, end=40, expires_at=datetime.now(UTC))
    told: list[AnyEvent] = [StageProgress(stage=StageName.CLIPPER, progress=part / 4) for part in (1, 2)]
    source = SourceReady(source_key=f"sources/{NOBODY}/source.mp4", size=10**8, container="mov", duration=60.0)
    begun: list[AnyEvent] = [asked, StageStarted(stage=StageName.RESOLVER, attempt=1, worker="host:1"), source, *told]
    clip: list[AnyEvent] = [StageStarted(stage=StageName.CLIPPER, attempt=1, worker="host:2"), _clip()]
    subtitles: list[AnyEvent] = [StageStarted(stage=StageName.ASR, attempt=1, worker="host:3"), _subtitles()]
    broken = StageRetried(stage=StageName.CLIPPER, attempt=1, code="RETRYABLE_ERROR", message="again", delay=1.0)
    return [[*begun, *told[:1], *clip], [*begun, *told, *clip, *subtitles], [*begun, clip[0], broken, *clip]]


def _clip() -> ClipUploaded:
    clip, poster = (f"results/{NOBODY}/{name}" for name in RESULTS[:2])
    return ClipUploaded(
        video_key=clip,
        thumbnail_key=poster,
        size=10**7,
        duration=30.0,
        actual_start=10.0,
        actual_end=40.0,
        cut_path="copy",
        has_video=True,
        has_audio=True,
    )


def _subtitles() -> AsrDone:
    srt, vtt, text, data = (f"results/{NOBODY}/{name}" for name in RESULTS[2:])
    return AsrDone(
        srt_key=srt,
        vtt_key=vtt,
        text_key=text,
        json_key=data,
        language="en",
        provider="local",
        model="tiny.en",
        cues=9,
        audio_seconds=30.0,
    )
