"""Routes of jobs: make one from an upload there or an upload here, or several of one source; read one."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from msgspec import UNSET
from msgspec.structs import replace
from structlog.contextvars import bind_contextvars

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope, Priority
from libs.common.domain.failures import Code
from libs.common.domain.probing import Source
from services.api.bodies import ClipFields, NewJob, NewUpload
from services.api.caller import Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.openings import openings
from services.api.requests import decoded, from_form
from services.api.results import URL_CODES
from services.api.sources import source_of
from services.api.stored_jobs import history_of, living
from services.api.upload import received
from services.api.upload_completion import usable_upload
from services.api.views import Accepted, JobAnswer, accepted_job, job_view, last_events

JOB_CODES = (
    *(Code.VALIDATION_FAILED, Code.CLIP_TOO_LONG, Code.BAD_REQUEST, Code.INPUT_TOO_LARGE, Code.CONFLICT, Code.IDEMPOTENCY_KEY_REUSED),
    *(Code.TOO_MANY_ACTIVE_JOBS, Code.BACKPRESSURE, Code.STORAGE_UNAVAILABLE, Code.RETRYABLE_ERROR),
)
CREATES = Described(
    summary="Create a job, or one a segment",
    takes=NewJob,
    gives=Accepted,
    location=True,
    headers=("Idempotency-Key",),
    scope=Scope.WRITE,
    refuses=(*JOB_CODES, *URL_CODES),
)
UPLOADS = Described(
    summary="Create a job and upload its file",
    takes=NewUpload,
    multipart=True,
    gives=Accepted,
    location=True,
    headers=("Idempotency-Key",),
    scope=Scope.WRITE,
    refuses=JOB_CODES,
)
READS = Described(
    summary="Read a job's status and last events",
    gives=JobAnswer,
    scope=Scope.READ,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.RETRYABLE_ERROR),
)


@post("/api/jobs", status_code=202, described=CREATES)
async def create_job(body: RawBody, api: Given, request: AnyRequest) -> Response[Accepted]:
    """Cut a range out of a file that was uploaded before, with the ticket of POST /api/uploads, or out of a video that has a URL."""
    wish = decoded(NewJob, body)
    source = source_of(wish, api.settings.fetching_rules)

    async def make(job_id: UUID) -> Response[Accepted]:
        asked = openings(wish, source, api.limits, caller_of(request), api.now())
        with api.pressure.admitted():
            if source.upload_key:
                await usable_upload(api, caller_of(request), source.upload_key)
            return await _accepted(api, request, job_id, asked, wish.priority)

    return await api.idempotency.once(request, msgspec.json.encode(wish), make, partial(_standing, api, wish))


@post("/api/jobs/upload", status_code=202, request_max_body_size=None, described=UPLOADS)
async def upload_job(api: Given, request: AnyRequest) -> Response[Accepted]:
    """Send the file and the fields as one multipart form, in any order; the file is the part named `file`."""
    api.pressure.check()  # better now than after a gigabyte
    await api.store.ping()
    async with received(request, api.objects.sources, api.limits.largest) as upload:
        wish = from_form(upload.fields)
        source = Source(source_type="upload", upload_key=upload.key)

    async def make(job_id: UUID) -> Response[Accepted]:
        asked = openings(wish, source, api.limits, caller_of(request), api.now())
        with api.pressure.counted(), upload.used():
            return await _accepted(api, request, job_id, asked, wish.priority)

    try:
        fingerprint = upload.digest.digest() + msgspec.json.encode(wish)
        return await api.idempotency.once(request, fingerprint, make, partial(_standing, api, wish))
    finally:
        await upload.discard_unused()


async def _accepted(api: Api, request: AnyRequest, job_id: UUID, asked: list[ClipsRequested], priority: Priority) -> Response[Accepted]:
    """All of them, or none."""
    await api.webhooks.check(asked[0], api.now())
    bind_contextvars(job_id=str(job_id))
    ids = _ids(job_id, len(asked))
    group = _group(ids)
    envelopes = [
        _envelope(api, request, one, replace(event, group_id=group) if group else event, priority)
        for one, event in zip(ids, asked, strict=True)
    ]
    await api.intake.take(envelopes, caller_of(request).max_active_jobs)
    return _answer(correlation_of(request), ids, asked[0].expires_at)


async def _standing(api: Api, wish: ClipFields, job_id: UUID) -> Response[Accepted] | None:
    """The answer of a request whose jobs were written, in its own words. Of one that was deleted since, only the end is known."""
    history = await api.store.history(job_id)
    if not history:
        return None
    first = history[0]
    until = first.event.expires_at if isinstance(first.event, ClipsRequested) else first.at
    return _answer(first.correlation_id, _ids(job_id, 1 if wish.joined else max(1, len(wish.segments))), until)


def _ids(job_id: UUID, count: int) -> list[UUID]:
    """The first has the id named, the others ids that follow from it."""
    return [job_id, *(uuid5(job_id, f"segment {number}") for number in range(1, count))]


def _group(ids: Sequence[UUID]) -> UUID | None:
    return uuid5(ids[0], "group") if len(ids) > 1 else None


def _answer(correlation_id: str, ids: Sequence[UUID], until: datetime) -> Response[Accepted]:
    jobs, group = tuple(accepted_job(one, until) for one in ids), _group(ids)
    answer = Accepted(correlation_id=correlation_id, job=jobs[0], jobs=jobs if group else UNSET, group_id=group or UNSET)
    return Response(answer, status_code=202, headers={"location": f"/api/jobs?groupId={group}" if group else f"/api/jobs/{ids[0]}"})


def _envelope(api: Api, request: AnyRequest, job_id: UUID, event: ClipsRequested, priority: Priority) -> Envelope:
    return Envelope(
        id=request_id(job_id),
        job_id=job_id,
        at=api.now(),
        correlation_id=correlation_of(request),
        priority=priority,
        traceparent=request.scope["state"]["traceparent"],
        event=event,
    )


@get("/api/jobs/{job_id:str}", described=READS)
async def read_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> JobAnswer:
    """The job as the fold of its events so far."""
    history = await history_of(api, request, job_id)
    job = living(history)
    outlook = await api.queue.outlook(job, history)
    return JobAnswer(correlation_id=correlation_of(request), job=job_view(job, outlook), events=last_events(history))
