"""The route that lists a tenant's jobs, newest first. A cursor is the place behind a job: what is added meanwhile moves nothing."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import get
from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.domain.failures import Code
from libs.common.domain.job import fold
from libs.common.domain.values import SourceType
from services.api.bodies import Moment
from services.api.caller import Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.requests import Refused, from_query
from services.api.views import JobView, Status, View, job_view

MOST = 100
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
FIRST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
"""Before every job."""
Place = tuple[datetime, UUID]


class JobsQuery(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    status: Annotated[Status | None, Meta(description="Only jobs that stand so.")] = None
    source_type: Annotated[SourceType | None, Meta(description="Only jobs on such sources.")] = None
    group_id: Annotated[UUID | None, Meta(description="Only the jobs of one request.")] = None
    created_after: Annotated[Moment | None, Meta(description="Only jobs created then or later.")] = None
    created_before: Annotated[Moment | None, Meta(description="Only jobs created earlier.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST, description="Jobs in one answer.")] = 20
    cursor: Annotated[str | None, Meta(description="The nextCursor of the answer before.")] = None


class JobsAnswer(View, frozen=True, kw_only=True):
    """Newest first. A page may hold fewer than `limit`; there are more as long as there is a nextCursor."""

    correlation_id: str
    jobs: tuple[JobView, ...]
    next_cursor: str | UnsetType = UNSET


LISTS = Described(
    summary="List your jobs",
    gives=JobsAnswer,
    query=JobsQuery,
    scope=Scope.READ,
    refuses=(Code.VALIDATION_FAILED, Code.RETRYABLE_ERROR),
)


@get("/api/jobs", described=LISTS)
async def list_jobs(api: Given, request: AnyRequest) -> JobsAnswer:
    """Which jobs there are is told by the lists, a moment behind; how each stands, by its events."""
    query = from_query(JobsQuery, request.query_params)
    rows = await _rows(api, caller_of(request).tenant, query)
    page = rows[: query.limit]
    jobs = await _jobs(api, [row["job_id"] for row in page], query.status)
    following = _cursor((page[-1]["created_at"], page[-1]["job_id"])) if len(rows) > query.limit else UNSET
    return JobsAnswer(correlation_id=correlation_of(request), jobs=jobs, next_cursor=following)


async def _rows(api: Api, tenant: str, query: JobsQuery) -> list[Any]:
    place = _place(query.cursor) if query.cursor is not None else FIRST
    before, after = _utc("createdBefore", query.created_before), _utc("createdAfter", query.created_after)
    if before:
        place = min(place, (before, UUID(int=0)))
    filters = (query.status, query.source_type, query.group_id, after)
    return await api.model.sql.rows("page", tenant, *place, *filters, query.limit + 1)


async def _jobs(api: Api, job_ids: list[UUID], wanted: Status | None) -> tuple[JobView, ...]:
    """In the order of the ids, without what has expired or changed its status since it was listed."""
    found = await api.model.histories(job_ids)
    jobs = [fold(found[job_id][0]) for job_id in job_ids if job_id in found]
    return tuple(job_view(job) for job in jobs if job.requested and job.status != "expired" and wanted in {None, job.status})


def _utc(name: str, moment: datetime | None) -> datetime | None:
    """Raises Refused for one that is in no calendar of UTC's."""
    try:
        return moment.astimezone(UTC) if moment else None
    except OverflowError as error:
        raise Refused(name, f"{name} is out of range") from error


def _cursor(place: Place) -> str:
    """Microseconds since 1970 and the id's 16 bytes."""
    created, job_id = place
    return base64.urlsafe_b64encode(((created - EPOCH) // MICROSECOND).to_bytes(8, "big") + job_id.bytes).decode()


def _place(cursor: str) -> Place:
    """Raises Refused."""
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        return EPOCH + int.from_bytes(raw[:8], "big") * MICROSECOND, UUID(bytes=raw[8:])
    except (ValueError, OverflowError) as error:
        raise Refused("cursor", "cursor must be the nextCursor of an earlier answer") from error
