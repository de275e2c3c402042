"""NATS JetStream through the few verbs that the system needs: publish, pull, bury. The only file that knows its wire.

Facts behind the rules here are in docs/decisions.md ("JetStream").
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from libs.common.domain.burial import letter, reason_headers
from libs.common.domain.events import SUBJECTS, Envelope, StageName, encode, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import CLIPS, DLQ, headers_of, subject_for
from libs.common.runtime import tracing
from libs.common.runtime.bus import Message
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import measured
from libs.common.runtime.nats_connection import open_client
from libs.common.runtime.trace_names import sending

log = logger(__name__)

PUBLISH_TIMEOUT = 3.0
REQUEST_TIMEOUT = 5.0
"""Seconds for a question about streams and consumers; a cluster takes one or two to make some."""
ELECTION = 8.0
"""Seconds that a dead leader's successor may take: 4 to 6 were measured."""
PING_TIMEOUT = 1.8
"""Seconds for each of a ping's two questions."""
MAKE_STREAMS = "run python -m libs.common.runtime.bootstrap"
NO_ROOM = {10023, 10028, 10047, 10077}
"""The server's codes for a stream, an account or a disk that is full."""


class JetStreamDelivery:
    """nats-py's message; every verb raises Failure(outage="nats") when the server can't be reached."""

    def __init__(self, msg: Msg, is_void: Callable[[], Awaitable[bool]]) -> None:
        """`is_void` tells whether the consumer that delivered it is gone, and sees to it that there is one again."""
        self._msg = msg
        self._is_void = is_void
        self.body: bytes = msg.data
        self.subject: str = msg.subject
        self.headers: dict[str, str] = dict(msg.headers or {})
        self.sequence: int = msg.metadata.sequence.stream
        self.deliveries: int = msg.metadata.num_delivered

    @property
    def is_by_hand(self) -> bool:
        return "Nats-Msg-Id" not in self.headers

    async def in_progress(self) -> None:
        if not self._msg._client.is_connected:  # noqa: SLF001  nats-py would buffer it, and we believe that it was heard
            raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats")
        with as_outage():
            await self._msg.in_progress()

    async def ack(self) -> None:
        with as_outage(), measured("nats", "ack"):
            await self._acked(time.monotonic() + ELECTION)

    async def _acked(self, until: float) -> None:
        """Again and again while the consumer has no leader: the stream, which the ping asks about, may have one all the time.

        A consumer that was deleted, even if it is there again, never hears us: the message comes again, to one who finds it answered.
        """
        unheard = False
        while True:
            try:
                await self._msg.ack_sync(timeout=PUBLISH_TIMEOUT)
            except nats.errors.NoRespondersError:
                if time.monotonic() > until:
                    raise
                unheard = True
            except nats.errors.TimeoutError:
                if not unheard:
                    raise
                return
            else:
                return
            if await self._is_void():
                return
            await asyncio.sleep(0.25)

    async def nak(self, delay: float) -> None:
        with as_outage():
            await self._msg.nak(delay=max(delay, 0.001))

    async def term(self, reason: str) -> None:
        """nats-py's term() takes no reason; the server does, and tells it in the advisory."""
        with as_outage(), measured("nats", "term"):
            await self._msg._client.publish(self._msg.reply, f"+TERM {reason}".encode())  # noqa: SLF001  no public way to the reply's connection
            await self._msg._client.flush(timeout=int(PUBLISH_TIMEOUT))  # noqa: SLF001  the same


class StreamFull(Failure):
    """A stream, or the disk beneath it, has no room for what we publish: it drops no work for it."""

    def __init__(self, stream: str) -> None:
        super().__init__(Code.RETRYABLE_ERROR, f"the message stream {stream} is full", outage="nats")


@dataclass(frozen=True, slots=True)
class Publication:
    subject: str
    body: bytes
    headers: dict[str, str]
    stream: str


class JetStreamBus:
    def __init__(self, client: Client, js: JetStreamContext, *, needs_streams: bool = False) -> None:
        self.client = client
        self.js = js
        self.api: str = js._prefix  # noqa: SLF001  no public way to it
        self._needs_streams = needs_streams
        self._unanswered: Publication | None = None
        """What a stream last left without a word: a leader was being elected, or the stream can't write."""

    async def publish(self, envelope: Envelope, *, message_id: str | None = None) -> bool:
        event_type = type_of(envelope.event)
        if event_type not in SUBJECTS.values():
            return True
        headers = headers_of(envelope) | ({"Nats-Msg-Id": message_id} if message_id else {})
        return not await self.send(subject_for(event_type, envelope.priority), encode(envelope), headers, stream=CLIPS)

    async def bury(self, message: Message, stage: StageName, failure: Failure, attempts: int) -> None:
        reason = reason_headers(message.subject, message.sequence, stage, failure, attempts)
        body, headers = letter(message.body, message.headers, reason, largest=self.client.max_payload)
        await self.send(f"dlq.{message.subject}", body, headers, stream=DLQ)

    async def send(self, subject: str, body: bytes, headers: dict[str, str], *, stream: str) -> bool:
        """Publish and await the stream's word; True if the stream had this message already. Raises StreamFull, Failure(outage="nats")."""
        self._be_connected()
        attributes, trace = sending(subject, headers.get("Nats-Msg-Id")), headers.get("traceparent")
        with measured("nats", "publish"), tracing.span(f"send {subject}", "producer", attributes=attributes, otherwise=trace):
            return await self._send(Publication(subject, body, headers, stream), PUBLISH_TIMEOUT)

    async def _send(self, what: Publication, patience: float) -> bool:
        with as_outage():
            try:
                ack = await self.js.publish(what.subject, what.body, timeout=patience, stream=what.stream, headers=what.headers)
            except nats.errors.TimeoutError:
                self._unanswered = what
                raise
            except APIError as error:
                self._unanswered = None
                if error.err_code in NO_ROOM:
                    raise StreamFull(what.stream) from error
                raise
        self._unanswered = None
        return bool(ack.duplicate)

    async def ping(self) -> None:
        """Whether JetStream takes our work. Raises Failure(outage="nats") while it has no leader for it or can't write.

        A stream that can't write answers everything but a publish, so what it left unanswered is published again:
        a probe that costs nothing, and does no harm, since each message has an id and every step may be repeated.
        """
        self._be_connected()
        await self._be_led()
        if self._unanswered:
            await self._send(self._unanswered, PING_TIMEOUT)

    async def _be_led(self) -> None:
        with as_outage():
            try:
                async with asyncio.timeout(PING_TIMEOUT):
                    info = await self.js.stream_info(CLIPS)
            except NotFoundError:
                if self._needs_streams:
                    raise Failure(Code.RETRYABLE_ERROR, f"the stream {CLIPS} is missing: {MAKE_STREAMS}", outage="nats") from None
                return
        if info.cluster and not info.cluster.leader:
            raise Failure(Code.RETRYABLE_ERROR, f"the stream {CLIPS} has no leader", outage="nats")

    def _be_connected(self) -> None:
        """A publish on a broken connection would wait in nats-py's buffer; we would rather know at once."""
        if not self.client.is_connected:
            raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats")


@asynccontextmanager
async def open_bus(url: str, *, name: str, needs_streams: bool = False, api: str = "$JS.API") -> AsyncIterator[JetStreamBus]:
    """`needs_streams`: its ping counts a missing work stream as an outage. `api`: the prefix under which JetStream is reached."""
    async with open_client(url, name=name) as client:
        yield JetStreamBus(client, client.jetstream(prefix=api, timeout=REQUEST_TIMEOUT), needs_streams=needs_streams)


class as_outage:  # noqa: N801  reads as the phrase that it is
    """nats-py's ways of saying that the server is away, as our Failure."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (nats.errors.Error, OSError, TimeoutError, asyncio.TimeoutError)):
            raise Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats") from error
