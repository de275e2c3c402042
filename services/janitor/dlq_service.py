"""The NATS micro service `dlq`, which any janitor answers for: `nats micro info dlq`, `nats req clipstream.dlq.replay '{"seq":12}'`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import nats.errors
from nats.micro import add_service
from nats.micro.request import Request as MicroRequest
from structlog.contextvars import bound_contextvars

from libs.common.domain.dead_letters import (
    DISCARD,
    LIST,
    REPLAY,
    SERVICE,
    SHOW,
    USAGE,
    Answer,
    Asked,
    DiscardRequest,
    ListRequest,
    ReplayRequest,
    ShowRequest,
    in_lines,
    problem_reply,
    request_of,
)
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.request_reply import CORRELATION
from libs.common.runtime.service import Connections
from services.janitor.discard import Discards
from services.janitor.letters import Letters
from services.janitor.replay import Replays
from services.janitor.settings import JanitorSettings

log = logger(__name__)
STATUS = {Code.BAD_REQUEST: "400", Code.NOT_FOUND: "404", Code.INTERNAL: "500"}
"""In the header Nats-Service-Error-Code, which micro services have; 503 for all else."""
Endpoint = Callable[[bytes], Awaitable[bytes]]
"""From a request's body to its answer's. Raises Failure."""


async def serve_dead_letters(_settings: JanitorSettings, c: Connections) -> None:
    """The task: answer requests until cancelled."""
    service = await add_service(c.bus.client, name=SERVICE, version="1.1.0", description="Lists, shows, replays and discards dead letters")
    try:
        for subject, endpoint in endpoints(Letters(c.store, c.bus)).items():
            usage = {"usage": USAGE[subject]}
            await service.add_endpoint(name=subject.rpartition(".")[2], subject=subject, handler=partial(respond, endpoint), metadata=usage)
        await asyncio.get_running_loop().create_future()
    finally:
        with suppress(nats.errors.Error):  # a connection that is gone has no service any more
            await service.stop()


def endpoints(letters: Letters) -> Mapping[str, Endpoint]:
    """By subject."""
    return {
        LIST: _endpoint(LIST, ListRequest, letters.list),
        SHOW: _endpoint(SHOW, ShowRequest, letters.show),
        REPLAY: _endpoint(REPLAY, ReplayRequest, Replays(letters.store, letters.bus).answer),
        DISCARD: _endpoint(DISCARD, DiscardRequest, Discards(letters).answer),
    }


def _endpoint(subject: str, kind: type[Asked], verb: Callable[[Asked], Awaitable[Answer]]) -> Endpoint:
    async def answered(body: bytes) -> bytes:
        return in_lines(await verb(request_of(kind, body, USAGE[subject])))

    return answered


async def respond(endpoint: Endpoint, request: MicroRequest) -> None:
    """A failure is told twice: in the headers for who has the `nats` command, in the body for the API."""
    with bound_contextvars(correlation_id=(request.headers or {}).get(CORRELATION, "")):
        try:
            said = await endpoint(request.data)
        except Exception as error:  # noqa: BLE001  whoever asked must have an answer
            failure = told(error)
            await request.respond_error(STATUS.get(failure.code, "503"), " ".join(failure.message.split()), problem_reply(failure))
        else:
            await request.respond(said)


def told(error: Exception) -> Failure:
    """What who asked reads of an error."""
    if not isinstance(error, Failure):
        log.error("a request about dead letters broke", exc_info=error)
        return Failure(Code.INTERNAL, "unexpected error; the janitor's log has it, and what was begun is safe")
    if error.retryable:
        return Failure(error.code, f"{error.message}; what was begun is safe: send the same request again")
    return error
