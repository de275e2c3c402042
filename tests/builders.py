"""Events and histories in a line: what tests are about is named, the rest has a default."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.common.domain.event_ids import answer_id, request_id
from libs.common.domain.events import (
    AnyEvent,
    AsrDone,
    ClipBurned,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    SourceReady,
    StageName,
    StageRetried,
    StageStarted,
)
from libs.common.domain.job import answering_stage
from tests.fakes import NOW


def requested(**fields: Any) -> ClipsRequested:
    given = {"source_type": "upload", "upload_key": "uploads/u/file.mp4", "start": 1.0, "end": 3.0, "expires_at": NOW + timedelta(hours=72)}
    return ClipsRequested(**given | fields)


def ready(**fields: Any) -> SourceReady:
    given = {"source_key": "sources/j/source.mp4", "size": 1000, "container": "mov", "duration": 60.0}
    return SourceReady(**given | fields)


def uploaded(**fields: Any) -> ClipUploaded:
    given = {"video_key": "results/j/clip.mp4", "size": 10, "duration": 2.0, "actual_start": 1.0, "actual_end": 3.0}
    return ClipUploaded(**given | {"cut_path": "copy", "has_video": True, "has_audio": True} | fields)


def transcribed(**fields: Any) -> AsrDone:
    given = {"srt_key": "results/j/clip.srt", "language": "en", "provider": "local", "model": "tiny.en", "cues": 1, "audio_seconds": 2.0}
    return AsrDone(**given | fields)


def burned(**fields: Any) -> ClipBurned:
    return ClipBurned(**{"video_key": "results/j/clip.subbed.mp4", "size": 10} | fields)


def started(stage: StageName, attempt: int = 1, sequence: int = 1) -> StageStarted:
    return StageStarted(stage=stage, attempt=attempt, worker="host:1", sequence=sequence)


def retried(stage: StageName, attempt: int = 1, *, charged: bool = True) -> StageRetried:
    return StageRetried(stage=stage, attempt=attempt, code="RETRYABLE_ERROR", message="again", delay=1.0, charged=charged)


def envelope(event: AnyEvent, job_id: UUID | None = None, *, run: int = 1, **fields: Any) -> Envelope:
    """With the id that the system would give it: derived for a request and for answers, random otherwise."""
    job_id = job_id or uuid4()
    stage = answering_stage(event)
    derived = answer_id(job_id, stage, run) if stage else uuid4()
    event_id = request_id(job_id) if isinstance(event, ClipsRequested) else derived
    return Envelope(**{"id": event_id, "job_id": job_id, "run": run, "at": NOW, "correlation_id": "c-1", "event": event} | fields)


def history(*events: AnyEvent, job_id: UUID | None = None) -> list[Envelope]:
    """These events of one job, a second apart, all of the first run."""
    job_id = job_id or uuid4()
    return [envelope(event, job_id, at=NOW + timedelta(seconds=n)) for n, event in enumerate(events)]
