"""The peers: the same queries behind a raw ASGI handler, and behind a bare Litestar one: `python -m bench.http.peers raw|litestar PORT`.

They read a job and write one as the API does, by the same statements, fold and view; without keys, metrics, logs, limits or validation
beyond the Struct's own.
"""

import sys
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import uvicorn
import uvloop
from litestar import Litestar, Response, get, post
from litestar.params import FromPath, RawBody

from libs.common.domain.event_ids import request_id
from libs.common.domain.events import ClipsRequested, Envelope, Priority
from libs.common.domain.job import Job, fold
from libs.common.runtime.event_store import PostgresEventStore
from libs.common.runtime.jetstream import open_bus
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.postgres import Connection, open_pool
from libs.common.runtime.settings import from_environment
from services.api.bodies import NewJob
from services.api.intake import Intake
from services.api.job_opening import JobOpening
from services.api.protocol import EnvelopeProtocol
from services.api.read_model import ReadModel
from services.api.settings import ApiSettings
from services.api.views import Accepted, JobAnswer, accepted_job, job_view, last_events

JSON = [(b"content-type", b"application/json")]


class Peer:
    """What both peers do."""

    def __init__(self, store: PostgresEventStore, intake: Intake) -> None:
        self._store, self._intake = store, intake

    async def read(self, job_id: UUID) -> JobAnswer:
        history = await self._store.history(job_id)
        return JobAnswer(correlation_id="c", job=job_view(fold(history)), events=last_events(history))

    async def create(self, body: bytes) -> Accepted:
        wish, job_id, now = msgspec.json.decode(body, type=NewJob), uuid4(), datetime.now(UTC)
        event = ClipsRequested(
            source_type=wish.source_type,
            source_url=wish.youtube_url,
            start=float(cast("float", wish.start)),
            end=float(cast("float", wish.end)),
            tenant="peer",
            client="peer",
            expires_at=now,
        )
        envelope = Envelope(id=request_id(job_id), job_id=job_id, at=now, correlation_id="c", priority=Priority.NORMAL, event=event)
        await self._intake.take([envelope], 0)
        return Accepted(correlation_id="c", job=accepted_job(job_id, event.expires_at))


def raw(peer: Peer) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            status, answer = 200, msgspec.json.encode(await peer.read(UUID(scope["path"].rpartition("/")[2])))
        else:
            message = await receive()
            status, answer = 202, msgspec.json.encode(await peer.create(message["body"]))
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*JSON, length]})
        await send({"type": "http.response.body", "body": answer})

    return app


def bare_litestar(peer: Peer) -> Any:
    @get("/api/jobs/{job_id:str}")
    async def read_job(job_id: FromPath[str]) -> JobAnswer:
        return await peer.read(UUID(job_id))

    @post("/api/jobs", status_code=202)
    async def create_job(body: RawBody) -> Response[Accepted]:
        return Response(await peer.create(body), status_code=202)

    return Litestar([read_job, create_job], openapi_config=None, logging_config=None)


async def _nobody(_: Connection, __: Job) -> None:
    """Who is told of a job's end."""


async def serve(kind: str, port: int) -> None:
    settings = from_environment(ApiSettings)
    set_up_logs("peer", "WARNING")  # else the writing of a job says so, in the colours of structlog's default
    async with (
        open_pool(settings.database_url.reveal(), connections=10) as pool,
        open_bus(settings.nats_url.reveal(), name="peer", needs_streams=False) as bus,
    ):
        store = PostgresEventStore(pool)
        peer = Peer(store, Intake(JobOpening(ReadModel(pool, store, _nobody), store), bus))
        app = {"raw": raw, "litestar": bare_litestar}[kind](peer)
        plain = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False}
        config = uvicorn.Config(app, port=port, http=EnvelopeProtocol, ws="none", **plain)  # type: ignore[arg-type]
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
