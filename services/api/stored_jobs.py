"""A job by the id in a path: its history, and what the job is by it. Another tenant's is as if it were not there."""

from collections.abc import Sequence
from uuid import UUID

from libs.common.domain.events import ClipsRequested, Envelope, JobExpired
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from services.api.caller import caller_of
from services.api.context import AnyRequest, Api


async def history_of(api: Api, request: AnyRequest, job_id: str) -> list[Envelope]:
    """Empty for what is no id of a job of the caller's."""
    try:
        parsed = UUID(job_id)
    except ValueError:
        return []
    history = await api.store.history(parsed) if str(parsed) == job_id.lower() else []
    return history if owner_of(history) == caller_of(request).tenant else []


def owner_of(history: Sequence[Envelope]) -> str | None:
    """The tenant, by the first event that names one; None without any."""
    return next((one.event.tenant for one in history if isinstance(one.event, ClipsRequested | JobExpired)), None)


def living(history: list[Envelope]) -> Job:
    """Raises Failure: NOT_FOUND for an unknown job, GONE for one that has expired."""
    job = fold(history)
    if job.status == "expired":
        raise Failure(Code.GONE, "the job has expired")
    if job.requested is None:
        raise Failure(Code.NOT_FOUND, "there is no such job")
    return job
