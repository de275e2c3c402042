"""The route that makes a failed job run again, from the stage that failed on: what was done before it is kept."""

from uuid import UUID

from litestar import Response, post
from litestar.params import FromPath
from msgspec.structs import replace

from libs.common.domain.causes import cause_for
from libs.common.domain.event_ids import replay_id
from libs.common.domain.events import Envelope, JobReplayed
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from services.api.caller import Caller, Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.stored_jobs import history_of, living
from services.api.views import JobAnswer, job_view, last_events

RETRIES = Described(
    summary="Run a failed job again",
    gives=JobAnswer,
    location=True,
    headers=("Idempotency-Key",),
    scope=Scope.WRITE,
    refuses=(
        *(Code.VALIDATION_FAILED, Code.NOT_FOUND, Code.GONE, Code.INVALID_STATE, Code.CONFLICT, Code.IDEMPOTENCY_KEY_REUSED),
        *(Code.TOO_MANY_ACTIVE_JOBS, Code.BACKPRESSURE, Code.RETRYABLE_ERROR),
    ),
)


@post("/api/jobs/{job_id:str}/retry", status_code=202, described=RETRIES)
async def retry_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> Response[JobAnswer]:
    """Also a job that is done but for its subtitles or its burn-in: only these are tried again, and the clip stays."""

    async def make(retry_id: UUID) -> Response[JobAnswer]:
        history = await history_of(api, request, job_id)
        job = living(history)
        with api.pressure.admitted():
            history.append(await _rerun(api, caller_of(request), job, _source(retry_id)))
        return _answer(request, history)

    async def standing(retry_id: UUID) -> Response[JobAnswer] | None:
        history = await history_of(api, request, job_id)
        job = fold(history)
        return _answer(request, history) if _source(retry_id) in job.replays and job.status != "expired" else None

    return await api.idempotency.once(request, b"", make, standing)


def _source(retry_id: UUID) -> str:
    """What the history calls this retry: sent again with its Idempotency-Key, it is known by it."""
    return f"retry:{retry_id}"


def _answer(request: AnyRequest, history: list[Envelope]) -> Response[JobAnswer]:
    job = fold(history)
    answer = JobAnswer(correlation_id=correlation_of(request), job=job_view(job), events=last_events(history))
    return Response(answer, status_code=202, headers={"location": f"/api/jobs/{job.id}"})


async def _rerun(api: Api, caller: Caller, job: Job, source: str) -> Envelope:
    cause = cause_for(job, job.failed_stage) if job.failed_stage else None
    if cause is None or job.expires_at is None or job.failed_stage is None:
        raise Failure(Code.INVALID_STATE, f"the job is {job.status}; there is nothing that failed")
    replayed = JobReplayed(stage=job.failed_stage, by="client", source=source, client=caller.client)
    run = job.run + 1
    opening = replace(cause.followed_by(replayed, event_id=replay_id(cause.job_id, run), at=api.now()), run=run)
    stored = await api.intake.reopen(opening, replace(cause, run=run), expires_at=job.expires_at, cap=caller.max_active_jobs)
    if stored.event != replayed:
        raise Failure(Code.INVALID_STATE, "the job runs again already", hint="Read the job's status.")
    return stored
