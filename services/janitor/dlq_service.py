"""The NATS micro service `dlq`, which any janitor answers for: `nats micro info dlq`, `nats req clipstream.dlq.replay '{"seq":12}'`."""

import asyncio

import msgspec
from nats.micro import add_service
from nats.micro.request import Request, ServiceError

from libs.common.domain.failures import Failure
from libs.common.runtime.service import Connections
from libs.common.runtime.telemetry import logger
from services.janitor.dead_letters import USAGE, request_of
from services.janitor.replay import Replays
from services.janitor.settings import JanitorSettings

log = logger(__name__)
SUBJECT = "clipstream.dlq.replay"


async def serve_replays(_settings: JanitorSettings, c: Connections) -> None:
    """The task: answer requests until cancelled."""
    replays = Replays(c.store, c.bus)

    async def replay(request: Request) -> None:
        await request.respond(await answer(replays, request.data))

    service = await add_service(c.bus.client, name="dlq", version="1.0.0", description="Puts dead letters back to work")
    try:
        await service.add_endpoint(name="replay", subject=SUBJECT, handler=replay, metadata={"usage": USAGE})
        await asyncio.get_running_loop().create_future()
    finally:
        await service.stop()


async def answer(replays: Replays, body: bytes) -> bytes:
    """The answer's JSON. Raises ServiceError, which the client reads in the headers Nats-Service-Error and Nats-Service-Error-Code."""
    try:
        request = request_of(body)
    except ValueError as error:
        raise ServiceError("400", str(error)) from error
    try:
        return msgspec.json.encode(await replays.answer(request))
    except Failure as failure:
        raise ServiceError("503", f"{failure.message}; what was begun is safe: send the same request again") from failure
    except Exception as error:
        log.exception("replay broke")
        raise ServiceError("500", "unexpected error; the janitor's log has it, and what was begun is safe") from error
