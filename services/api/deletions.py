"""The route that deletes a job before its time: it answers 410 from then on, and a janitor removes its files."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import delete
from litestar.params import FromPath
from msgspec import Meta

from libs.common.domain.event_ids import expiry_id
from libs.common.domain.events import Envelope, JobExpired
from libs.common.domain.failures import Code
from libs.common.domain.job import Job
from libs.common.runtime.job_counts import event_written, run_ended
from services.api.caller import Scope, correlation_of
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
    expiry = _expired(api, job)
    expired, _ = await api.store.append(expiry)
    event_written(expiry, expired)
    await run_ended(api.store, job, expiry, expired)
    return DeletedAnswer(correlation_id=correlation_of(request), id=job.id, deleted_at=expired.at)


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
