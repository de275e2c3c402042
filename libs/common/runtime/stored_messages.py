"""A stream's messages as they lie there, read without a consumer: for who looks after a stream, not for who works on it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError, ServerError

from libs.common.runtime.jetstream import JetStreamBus, as_outage
from libs.common.runtime.telemetry import measured

NO_MESSAGE = 10037
"""The server's code where the stream is there and the message is not."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    body: bytes
    subject: str
    headers: dict[str, str]
    sequence: int
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """One durable consumer's messages: those that nobody has taken yet, and those in hand or waiting for another try."""

    pending: int
    ack_pending: int


class StoredMessages:
    """Every verb raises Failure(outage="nats") when the server can't be reached."""

    def __init__(self, bus: JetStreamBus, stream: str) -> None:
        self._bus = bus
        self._stream = stream

    async def get(self, sequence: int) -> StoredMessage | None:
        """None when there is no such message, or no longer."""
        return await self._read(sequence, None)

    async def first(self, subject: str, sequence: int = 1) -> StoredMessage | None:
        """The oldest message on `subject` (which may have wildcards) from `sequence` on."""
        return await self._read(sequence, subject)

    async def walk(self, subject: str, *, after: int = 0) -> AsyncGenerator[StoredMessage, None]:
        """The messages on `subject` beyond sequence `after`, oldest first, one in memory at a time; none that comes after the start."""
        last = await self._last_sequence()
        while (message := await self.first(subject, after + 1)) and message.sequence <= last:
            after = message.sequence
            yield message

    async def delete(self, sequence: int) -> None:
        """One that is gone already counts as deleted."""
        with as_outage(), measured("nats", "delete"):
            try:
                await self._bus.js.delete_msg(self._stream, sequence)
            except ServerError:  # also said of a message that is not there
                if await self.get(sequence):
                    raise

    async def count(self) -> int:
        with as_outage(), measured("nats", "stream_info"):
            return int((await self._bus.js.stream_info(self._stream)).state.messages)

    async def depths(self) -> dict[str, Depth]:
        """By the names of the stream's consumers."""
        with as_outage(), measured("nats", "consumers_info"):
            consumers = await self._bus.js.consumers_info(self._stream)
        return {found.name: Depth(found.num_pending or 0, found.num_ack_pending or 0) for found in consumers}

    async def _last_sequence(self) -> int:
        with as_outage(), measured("nats", "stream_info"):
            return int((await self._bus.js.stream_info(self._stream)).state.last_seq)

    async def _read(self, sequence: int, subject: str | None) -> StoredMessage | None:
        with as_outage(), measured("nats", "get"):
            try:
                raw = await self._bus.js.get_msg(self._stream, sequence, subject=subject, next=subject is not None)
            except NotFoundError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise
        return _stored(raw)


def _stored(raw: RawStreamMsg) -> StoredMessage:
    """Header values become text: nats-py gives an email Header for one that is not ASCII."""
    if raw.subject is None or raw.seq is None or raw.time is None:
        raise TypeError("a message without a subject, a sequence or a time")
    headers = {name: str(value) for name, value in (raw.headers or {}).items()}
    return StoredMessage(raw.data or b"", raw.subject, headers, raw.seq, raw.time)
