"""NATS request and reply: one service asks, any replica of another answers, as a micro service that `nats micro ls` shows."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import nats.errors
from nats.aio.client import Client
from nats.micro import add_service
from nats.micro.request import Request

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import tracing
from libs.common.runtime.logs import logger
from libs.common.runtime.trace_names import processing, sending

log = logger(__name__)
CORRELATION, TRACE = "Clip-Correlation-Id", "traceparent"
Answer = Callable[[bytes, str], Awaitable[bytes]]
"""From a request's body and its correlation id to the answer's body. Raises nothing."""


async def ask(client: Client, subject: str, body: bytes, *, correlation_id: str, seconds: float) -> bytes:
    """The answer of whichever replica takes the request. Raises Failure(RETRYABLE_ERROR) at once when nobody is there, or late."""
    if not client.is_connected:  # nats-py would keep the request until the server is back
        raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats")
    try:
        with tracing.span(f"send {subject}", "client", attributes=sending(subject, None)):
            headers = {CORRELATION: correlation_id} | ({TRACE: trace} if (trace := tracing.traceparent()) else {})
            reply = await client.request(subject, body, timeout=seconds, headers=headers)
    except nats.errors.NoRespondersError as error:
        raise Failure(Code.RETRYABLE_ERROR, "the service that answers this is not running at the moment") from error
    except (TimeoutError, nats.errors.TimeoutError) as error:
        raise Failure(Code.RETRYABLE_ERROR, f"there was no answer within {seconds:.0f} s") from error
    except (nats.errors.Error, OSError) as error:
        raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats") from error
    return reply.data


async def serve(
    client: Client, *, name: str, description: str, subject: str, answer: Answer, refuse: Callable[[], bytes], at_once: int
) -> None:
    """Answer until cancelled: `at_once` requests side by side, the others with what `refuse` says."""
    working: set[asyncio.Task[None]] = set()

    async def take(request: Request) -> None:
        """nats-py waits for this before it hands over the next request."""
        if len(working) >= at_once:
            return await request.respond(refuse())
        task = asyncio.create_task(_respond(request, answer))
        working.add(task)
        task.add_done_callback(working.discard)

    service = await add_service(client, name=name, version="1.0.0", description=description)
    try:
        await service.add_endpoint(name=subject.rpartition(".")[2], subject=subject, handler=take)
        await asyncio.get_running_loop().create_future()
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        with suppress(nats.errors.Error):  # a connection that is gone has no service any more
            await service.stop()


async def _respond(request: Request, answer: Answer) -> None:
    headers = request.headers or {}
    with tracing.span(f"process {request.subject}", "server", attributes=processing(request.subject, None), otherwise=headers.get(TRACE)):
        said = await answer(request.data, headers.get(CORRELATION, ""))
    try:
        await request.respond(said)
    except (nats.errors.Error, ValueError) as error:  # ValueError: who asked named nowhere to answer to
        log.warning("an answer could not be sent", error=type(error).__name__)
