"""The route that deletes a job before its time: it answers 410 from then on, and a janitor removes its files."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import delete
from litestar.params import FromPath
from msgspec import Meta

from libs.common.domain.event_ids import expiry_id
from libs.common.domain.events import Envelope, JobExpired, type_of
from libs.common.domain.failures import Code
from libs.common.domain.job import Job
from libs.common.runtime.telemetry import EVENTS_WRITTEN, JOBS_FINISHED
from services.api.caller import Scope
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.stored_jobs import history_of, living
from services.api.views import View


class DeletedAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    id: UUID
    deleted_at: Annotated[datetime, Meta(description="From then on the job answers 410; its files go within minutes.")]


DELETES = Described(
    summary="Delete a job and its files now",
    gives=DeletedAnswer,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.RETRYABLE_ERROR),
)


@delete("/api/jobs/{job_id:str}/result", status_code=202, described=DELETES)
async def delete_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> DeletedAnswer:
    """Before its expiresAt, and for good: work on it stops, its files and all that is known of it are removed."""
    job = living(await history_of(api, request, job_id))
    assert job.id  # noqa: S101  a living job has one
    await api.store.hasten(job.id, api.now())  # first: whatever happens now, a janitor ends it
    expired = await api.store.append(_expired(api, job))
    EVENTS_WRITTEN.labels(type_of(expired.event)).inc()
    if not job.is_over:
        JOBS_FINISHED.labels("expired").inc()
    return DeletedAnswer(correlation_id=request.state.correlation_id, id=job.id, deleted_at=expired.at)


def _expired(api: Api, job: Job) -> Envelope:
    assert job.id  # noqa: S101  the same
    return Envelope(
        id=expiry_id(job.id),
        job_id=job.id,
        run=job.run,
        at=api.now(),
        correlation_id=job.correlation_id,
        event=JobExpired(tenant=job.tenant),
    )
