"""The route that cancels a job: no stage begins on it any more, and what works on it stops within seconds."""

from litestar import delete
from litestar.params import FromPath

from libs.common.domain.event_ids import cancel_id
from libs.common.domain.events import CANCELLED, Envelope, JobCancelled
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job
from libs.common.runtime.job_counts import event_written, run_ended
from services.api.caller import Scope, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.stored_jobs import history_of, living
from services.api.views import JobAnswer, job_view, last_events

CANCELS = Described(
    summary="Cancel a job",
    gives=JobAnswer,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.INVALID_STATE, Code.RETRYABLE_ERROR),
)


@delete("/api/jobs/{job_id:str}", status_code=200, described=CANCELS)
async def cancel_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> JobAnswer:
    """A job that runs again after its clip was done keeps the clip, and loses only what it was to get anew. Repeating it is harmless."""
    job = living(await history_of(api, request, job_id))
    if not job.is_over:
        await _cancel(api, job)
    history = await history_of(api, request, job_id)
    job = living(history)
    if not _is_cancelled(job):  # it was over before, or came to its end first
        raise Failure(Code.INVALID_STATE, f"the job is {job.status}; there is nothing to cancel")
    return JobAnswer(correlation_id=correlation_of(request), job=job_view(job), events=last_events(history))


async def _cancel(api: Api, job: Job) -> None:
    cancellation = _cancellation(api, job)
    stored, _ = await api.store.append(cancellation)
    event_written(cancellation, stored)
    await run_ended(api.store, job, cancellation, stored)


def _cancellation(api: Api, job: Job) -> Envelope:
    assert job.id  # noqa: S101  a living job has one
    return Envelope(
        id=cancel_id(job.id, job.run),
        job_id=job.id,
        run=job.run,
        at=api.now(),
        correlation_id=job.correlation_id,
        priority=job.priority,
        traceparent=job.traceparent,
        event=JobCancelled(by="client"),
    )


def _is_cancelled(job: Job) -> bool:
    return job.status == "cancelled" or any(failure.code == CANCELLED for failure in job.optional_failures.values())
