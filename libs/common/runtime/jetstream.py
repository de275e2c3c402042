"""NATS JetStream through the few verbs that the system needs: publish, pull, bury. The only file that knows its wire.

Facts behind the rules here are in docs/decisions.md ("JetStream").
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from libs.common.domain.events import SUBJECTS, Envelope, Priority, StageName, encode, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import CLIPS, DLQ, durable, headers_of, subject_for
from libs.common.runtime.telemetry import logger, measured

log = logger(__name__)

ACK_WAIT = 30.0
"""Seconds that a delivery is ours without a sign of life."""
HEARTBEAT = 10.0
MAX_DELIVER = 20
"""The last net only: the runner gives up long before."""
POLL = 5.0
"""Seconds that an idle pull waits: also the longest that a server's restart can hide a message."""
PUBLISH_TIMEOUT = 5.0


class Message(Protocol):
    """A message as its stream keeps it; `sequence` is its place there."""

    @property
    def body(self) -> bytes: ...
    @property
    def subject(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def sequence(self) -> int: ...


class Delivery(Message, Protocol):
    """One message in our hands, until it is acked, handed back or ended."""

    @property
    def is_by_hand(self) -> bool:
        """True for a message that no service published: the operator's own `nats pub`, which carries no id."""
        ...

    async def in_progress(self) -> None: ...
    async def ack(self) -> None: ...
    async def nak(self, delay: float) -> None: ...
    async def term(self, reason: str) -> None: ...


class Bus(Protocol):
    async def publish(self, envelope: Envelope) -> bool:
        """Put the event where its consumer finds it, confirmed; nothing for one that does not travel.

        False when the stream had this message within its duplicate window, and dropped it.
        """
        ...

    async def bury(self, message: Message, stage: StageName, failure: Failure, attempts: int) -> None:
        """Copy the message, whole, to the dead letters, with the reason in its headers."""
        ...

    async def ping(self) -> None: ...


class JetStreamDelivery:
    """nats-py's message; every verb raises Failure(outage="nats") when the server can't be reached."""

    def __init__(self, msg: Msg) -> None:
        self._msg = msg
        self.body: bytes = msg.data
        self.subject: str = msg.subject
        self.headers: dict[str, str] = dict(msg.headers or {})
        self.sequence: int = msg.metadata.sequence.stream

    @property
    def is_by_hand(self) -> bool:
        return "Nats-Msg-Id" not in self.headers

    async def in_progress(self) -> None:
        with as_outage():
            await self._msg.in_progress()

    async def ack(self) -> None:
        with as_outage(), measured("nats", "ack"):
            await self._msg.ack_sync(timeout=PUBLISH_TIMEOUT)

    async def nak(self, delay: float) -> None:
        with as_outage():
            await self._msg.nak(delay=max(delay, 0.001))

    async def term(self, reason: str) -> None:
        """nats-py's term() takes no reason; the server does, and tells it in the advisory."""
        with as_outage(), measured("nats", "term"):
            await self._msg._client.publish(self._msg.reply, f"+TERM {reason}".encode())  # noqa: SLF001  no public way to the reply's connection
            await self._msg._client.flush(timeout=int(PUBLISH_TIMEOUT))  # noqa: SLF001  the same


class JetStreamBus:
    def __init__(self, client: Client, js: JetStreamContext) -> None:
        self.client = client
        self.js = js

    async def publish(self, envelope: Envelope) -> bool:
        event_type = type_of(envelope.event)
        if event_type not in SUBJECTS.values():
            return True
        return not await self.send(subject_for(event_type, envelope.priority), encode(envelope), headers_of(envelope), stream=CLIPS)

    async def bury(self, message: Message, stage: StageName, failure: Failure, attempts: int) -> None:
        reason = {
            "Clip-Error-Code": failure.code.value,
            "Clip-Error-Message": " ".join(failure.message.split())[:500],
            "Clip-Attempts": str(attempts),
            "Clip-Stage": stage.value,
            "Clip-Original-Subject": message.subject,
            "Clip-Stream-Seq": str(message.sequence),
            "Nats-Msg-Id": f"{CLIPS}:{message.sequence}",
        }
        await self.send(f"dlq.{message.subject}", message.body, message.headers | reason, stream=DLQ)

    async def send(self, subject: str, body: bytes, headers: dict[str, str], *, stream: str) -> bool:
        """Publish and await the stream's word; True if the stream had this message already."""
        self._be_connected()
        with as_outage(), measured("nats", "publish"):
            ack = await self.js.publish(subject, body, timeout=PUBLISH_TIMEOUT, stream=stream, headers=headers)
            return bool(ack.duplicate)

    async def ping(self) -> None:
        self._be_connected()
        with as_outage():
            await self.client.flush(timeout=3)

    def _be_connected(self) -> None:
        """A publish on a broken connection would wait in nats-py's buffer; we would rather know at once."""
        if not self.client.is_connected:
            raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats")


class Lane:
    """One durable pull consumer, asked for a message at a time: at once, or waiting."""

    def __init__(self, bus: JetStreamBus, stage: StageName, priority: Priority) -> None:
        self._bus = bus
        self._durable = durable(stage, priority)

    async def take(self, *, wait: float = 0.0) -> JetStreamDelivery | None:
        """The lane's next message, or None if none came within `wait` seconds. Never cancelled in the middle: that would lose time."""
        self._bus._be_connected()  # noqa: SLF001  the same module
        with as_outage():
            msg = await self._ask({"batch": 1} | ({"expires": int(wait * 1e9)} if wait else {"no_wait": True}), wait + 2)
        status = (msg.headers or {}).get("Status") if msg else None
        if msg is None or status in {"404", "408", "409"}:
            return None
        if status is not None:
            raise Failure(Code.RETRYABLE_ERROR, f"the consumer {self._durable} answered {status}", outage="nats")
        return JetStreamDelivery(msg)

    async def _ask(self, ask: dict[str, Any], timeout: float) -> Msg | None:  # noqa: ASYNC109  nats-py's own way
        """A pull on an inbox of its own: nats-py's fetch keeps what came too late for the next caller."""
        try:
            return await self._bus.client.request(
                f"$JS.API.CONSUMER.MSG.NEXT.{CLIPS}.{self._durable}", json.dumps(ask).encode(), timeout=timeout, old_style=True
            )
        except nats.errors.NoRespondersError as error:
            raise Failure(Code.RETRYABLE_ERROR, f"the consumer {self._durable} is not there", outage="nats") from error
        except nats.errors.TimeoutError:
            return None


@asynccontextmanager
async def open_bus(url: str, *, name: str) -> AsyncIterator[JetStreamBus]:
    """A connection that is made in the background and never given up: a dead peer is noticed within 20 s, a living one within a second."""
    client = Client()
    connecting = asyncio.create_task(_connected(client, url, name))
    try:
        yield JetStreamBus(client, client.jetstream(timeout=PUBLISH_TIMEOUT))
    finally:
        connecting.cancel()
        await _closed(client)


async def _connected(client: Client, url: str, name: str) -> None:
    await client.connect(
        [part.strip() for part in url.split(",")],
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=3,
        ping_interval=10,
        max_outstanding_pings=2,
        error_cb=_note_error,
        disconnected_cb=_note_loss,
        reconnected_cb=_note_return,
    )


async def _closed(client: Client) -> None:
    try:
        async with asyncio.timeout(3):
            await (client.drain() if client.is_connected else client.close())
    except Exception as error:  # noqa: BLE001  on the way out: a server that is gone can't be said goodbye to
        log.info("closed without a goodbye", error=type(error).__name__)


async def _note_error(error: Exception) -> None:
    log.warning("the message server complains", error=f"{type(error).__name__}: {error}")


async def _note_loss() -> None:
    log.warning("the message server is gone")


async def _note_return() -> None:
    log.info("the message server is back")


class as_outage:  # noqa: N801  reads as the phrase that it is
    """nats-py's ways of saying that the server is away, as our Failure."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (nats.errors.Error, OSError, TimeoutError, asyncio.TimeoutError)):
            raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats") from error
