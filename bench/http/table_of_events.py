"""A table full of events: jobs with a history of twelve, all alike but for their ids."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from libs.common.domain.events import (
    AnyEvent,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    SourceReady,
    StageName,
    StageProgress,
    StageStarted,
    encode,
    type_of,
)
from libs.common.domain.values import AudioTrack, VideoTrack

EACH = 12
NOBODY = UUID("0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11")
"""Stands for the job in the template; each has its own in the table."""

FILL = """
WITH jobs AS MATERIALIZED (SELECT gen_random_uuid() AS job_id FROM generate_series(1, $1))
INSERT INTO job_events (event_id, job_id, seq, type, at, envelope)
SELECT gen_random_uuid(), job_id, template.seq, template.type, now(), replace(template.envelope, $2, job_id::text)::jsonb
FROM jobs CROSS JOIN unnest($3::int[], $4::text[], $5::text[]) AS template (seq, type, envelope)
"""

LIST = """
INSERT INTO job_list (job_id, tenant, client, source_type, lane, status, created_at, begun_at, ended_at, seq)
SELECT job_id, 'bench', 'bench', 'upload', 1, 'done', at, at, at, $1 FROM job_events WHERE seq = 1
"""
PLACE = "INSERT INTO read_model_place (txid, position) SELECT pg_snapshot_xmin(pg_current_snapshot()), 0"


async def filled(url: str, events: int) -> list[UUID]:
    """Some of the jobs that are there after this, spread over the table; they belong to the tenant `bench`."""
    history = [_enveloped(event) for event in _events()]
    template = (list(range(1, EACH + 1)), [type_of(one.event) for one in history], [encode(one).decode() for one in history])
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL, events // EACH, str(NOBODY), *template, timeout=600)
        await connection.execute(LIST, EACH, timeout=600)
        await connection.execute(PLACE)
        await connection.execute("VACUUM ANALYZE job_events", timeout=600)
        rows = await connection.fetch("SELECT job_id FROM job_events WHERE seq = 1 ORDER BY event_id LIMIT 2000")
    finally:
        await connection.close()
    return [row["job_id"] for row in rows]


def _enveloped(event: AnyEvent) -> Envelope:
    return Envelope(id=NOBODY, job_id=NOBODY, at=datetime.now(UTC), correlation_id="c", event=event)


def _events() -> list[AnyEvent]:
    video, audio = (
        VideoTrack(codec="h264", width=1920, height=1080, frame_rate=25.0),
        AudioTrack(codec="aac", sample_rate=48000, channels=2),
    )
    progress: list[AnyEvent] = [StageProgress(stage=StageName.CLIPPER, progress=part / 10) for part in range(1, 8)]
    return [
        ClipsRequested(
            source_type="upload",
            upload_key=f"uploads/{NOBODY}/film.mp4",
            start=10.0,
            end=40.0,
            tenant="bench",
            client="bench",
            metadata={"show": "42"},
            expires_at=datetime.now(UTC) + timedelta(hours=72),
        ),
        StageStarted(stage=StageName.RESOLVER, attempt=1, worker="host:1", sequence=1),
        SourceReady(source_key=f"uploads/{NOBODY}/film.mp4", size=10**9, container="mov", duration=3600.0, video=video, audio=audio),
        StageStarted(stage=StageName.CLIPPER, attempt=1, worker="host:2", sequence=2),
        *progress,
        ClipUploaded(
            video_key=f"results/{NOBODY}/clip.mp4",
            size=10**7,
            duration=30.0,
            actual_start=10.0,
            actual_end=40.0,
            cut_path="copy",
            has_video=True,
            has_audio=True,
            thumbnail_key=f"results/{NOBODY}/thumb.jpg",
        ),
    ]
