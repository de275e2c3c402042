"""A job by the id in a path: its history, and what the job is by it."""

from uuid import UUID

from libs.common.domain.events import Envelope
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import Job, fold
from services.api.context import Api


async def history_of(api: Api, job_id: str) -> list[Envelope]:
    """Empty for what is no id of a job."""
    try:
        parsed = UUID(job_id)
    except ValueError:
        return []
    return await api.store.history(parsed) if str(parsed) == job_id.lower() else []


def living(history: list[Envelope]) -> Job:
    """Raises Failure: NOT_FOUND for an unknown job, GONE for one that has expired."""
    job = fold(history)
    if job.status == "expired":
        raise Failure(Code.GONE, "the job has expired")
    if job.requested is None:
        raise Failure(Code.NOT_FOUND, "there is no such job")
    return job
