"""What a stage of a job should be working on: the message to publish again when it is lost, or when the job runs anew from there."""

from libs.common.domain.event_ids import answer_id, request_id
from libs.common.domain.events import CONSUMES, Envelope, Event, StageName
from libs.common.domain.job import Job
from libs.common.domain.progress import stages_of

AWAITED_BY: dict[type[Event], StageName] = {event: stage for stage, event in CONSUMES.items()}


def cause_for(job: Job, stage: StageName) -> Envelope | None:
    """The envelope that `stage` answers, as it should travel in the current run; None while there is none."""
    causes = {
        StageName.RESOLVER: job.requested,
        StageName.CLIPPER: job.source,
        StageName.ASR: job.clip,
        StageName.BURNER: job.subtitles,
    }
    cause = causes[stage]
    if cause is None or job.id is None or job.updated_at is None:
        return None
    before = list(StageName).index(stage) - 1
    return Envelope(
        id=answer_id(job.id, list(StageName)[before], job.run) if before >= 0 else request_id(job.id),
        job_id=job.id,
        run=job.run,
        at=job.updated_at,
        correlation_id=job.correlation_id,
        priority=job.priority,
        traceparent=job.traceparent,
        event=cause,
    )


def is_awaited(job: Job, answer: Envelope) -> bool:
    """Whether a stage that the job needs works on this: a clip that wants no subtitles is not sent to who would make some."""
    stage = AWAITED_BY.get(type(answer.event))
    return stage is not None and job.requested is not None and stage in stages_of(job.requested)


def is_reached(job: Job, stage: StageName) -> bool:
    """Whether the job needs the stage, and has what it works on: a body that an operator publishes by hand may be of another time."""
    return job.requested is not None and stage in stages_of(job.requested) and cause_for(job, stage) is not None
