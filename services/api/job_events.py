"""The route that tells a job's events as they happen."""

from typing import Annotated

from litestar import get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp
from msgspec import Meta, Struct

from libs.common.domain.failures import Code
from services.api.caller import Scope, caller_of
from services.api.context import AnyRequest, Given
from services.api.event_frames import StreamedEvent
from services.api.event_streams import EventStream
from services.api.openapi import EVENT_STREAM, Described
from services.api.requests import Refused, from_query
from services.api.stored_jobs import history_of, living

MOST_SEQ = 2**31 - 1


class Place(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    last_event_id: Annotated[
        int,
        Meta(ge=0, le=MOST_SEQ, description="As the header Last-Event-ID, for clients that can't set it; the header goes first."),
    ] = 0


FOLLOWS = Described(
    summary="Follow a job's events as they happen",
    gives=StreamedEvent,
    media_type=EVENT_STREAM,
    query=Place,
    headers=("Last-Event-ID",),
    empty="The job is over and nothing follows the event named; an EventSource stops here.",
    scope=Scope.READ,
    refuses=(Code.VALIDATION_FAILED, Code.NOT_FOUND, Code.GONE, Code.BACKPRESSURE, Code.RETRYABLE_ERROR),
)


@get("/api/jobs/{job_id:str}/events", described=FOLLOWS)
async def follow_job(job_id: FromPath[str], api: Given, request: AnyRequest) -> ASGIApp:
    """From its first event, or behind the one named, to the one that ends it. `id` is an event's number in its job, `event` its type.

    A comment every 15 s keeps the stream alive. After 2 s without a connection a client should resume with Last-Event-ID.
    """
    after = _place(request)
    job = living(await history_of(api, request, job_id))
    assert job.id  # noqa: S101  a living job has one
    last = await api.event_streams.last(job.id)
    if job.is_over and after >= last:
        return ASGIResponse(status_code=204)
    if after > last:
        raise Refused("lastEventId", f"the job has no event {after} yet")
    caller = caller_of(request)
    client = caller.tenant or caller.client
    return EventStream(api.event_streams, job.id, client, after, lambda: api.door.admitted(request, request.route_handler))


def _place(request: AnyRequest) -> int:
    """Raises Refused for what is no event's number."""
    asked = from_query(Place, request.query_params).last_event_id
    header = request.headers.get("last-event-id")
    return asked if header is None else from_query(Place, {"lastEventId": header}).last_event_id
