"""A stream's messages as they lie there, read without a consumer: for who looks after a stream, not for who works on it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from nats.js.api import ConsumerInfo, RawStreamMsg
from nats.js.errors import NotFoundError, ServerError

from libs.common.domain.subjects import canary
from libs.common.runtime.jetstream import PUBLISH_TIMEOUT, JetStreamBus, as_outage
from libs.common.runtime.metrics import measured

T = TypeVar("T")
PARTS = 16
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
    delivered: int = 0
    """The highest sequence that it ever gave out."""
    max_deliver: int = 0

    @property
    def is_idle(self) -> bool:
        """What it gave out and its stream still has, it gives out no more."""
        return not self.pending and not self.ack_pending


@dataclass(frozen=True, slots=True)
class Fill:
    """What a stream holds and may hold: messages, and bytes (`size`); None where there is no limit."""

    messages: int = 0
    size: int = 0
    most_messages: int | None = None
    most_size: int | None = None

    def room(self, watermark: int, share: float) -> int:
        """How many more messages until there are `watermark`, or that share of what the stream may hold; below 0 when there are more."""
        rooms = [watermark - self.messages]
        if self.most_messages is not None:
            rooms.append(int(self.most_messages * share) - self.messages)
        if self.most_size is not None and self.messages:
            rooms.append(int((self.most_size * share - self.size) / (self.size / self.messages)))
        return min(rooms)


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
        _, last = await self._ends()
        async with aclosing(self._between(subject, after + 1, last)) as messages:
            async for message in messages:
                yield message

    async def gather(self, subject: str, of: Callable[[StoredMessage], T]) -> list[T]:
        """What `of` makes of each message on `subject` that is there now, in no order: read in parts side by side, 10,000 in a second."""
        first, last = await self._ends()

        async def part(start: int, end: int) -> list[T]:
            async with aclosing(self._between(subject, start, end)) as messages:
                return [of(message) async for message in messages]

        step = max(1, (last - first) // PARTS + 1)
        parts = await asyncio.gather(*(part(start, min(start + step - 1, last)) for start in range(first, last + 1, step)))
        return [made for part in parts for made in part]

    async def _between(self, subject: str, start: int, end: int) -> AsyncGenerator[StoredMessage, None]:
        while start <= end and (message := await self.first(subject, start)) and message.sequence <= end:
            start = message.sequence + 1
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
        """Without canaries."""
        return (await self.fill()).messages

    async def fill(self) -> Fill:
        """The same."""
        with as_outage(), measured("nats", "stream_info"):
            info = await self._bus.js.stream_info(self._stream, subjects_filter=canary(self._stream))
        state, limits = info.state, info.config
        work = state.messages - sum((state.subjects or {}).values())
        return Fill(work, state.bytes, _limit(limits.max_msgs), _limit(limits.max_bytes))

    async def send_canary(self) -> None:
        """Raises Failure unless the stream says that it has stored it. Not by the bus's own way: its failure is no outage of our work."""
        with as_outage(), measured("nats", "canary"):
            await self._bus.js.publish(canary(self._stream), stream=self._stream, timeout=PUBLISH_TIMEOUT)

    async def sweep_canaries(self) -> None:
        """Ours, and what a janitor left that died in between."""
        async with aclosing(self.walk(canary(self._stream))) as canaries:
            async for found in canaries:
                await self.delete(found.sequence)

    async def depths(self) -> dict[str, Depth]:
        """By the names of the stream's consumers."""
        with as_outage(), measured("nats", "consumers_info"):
            consumers = await self._bus.js.consumers_info(self._stream)
        return {found.name: _depth(found) for found in consumers}

    async def _ends(self) -> tuple[int, int]:
        """The first sequence and the last one; of an empty stream the last is the smaller one."""
        with as_outage(), measured("nats", "stream_info"):
            state = (await self._bus.js.stream_info(self._stream)).state
        return state.first_seq, state.last_seq

    async def _read(self, sequence: int, subject: str | None) -> StoredMessage | None:
        with as_outage(), measured("nats", "get"):
            try:
                raw = await self._bus.js.get_msg(self._stream, sequence, subject=subject, next=subject is not None)
            except NotFoundError as error:
                if error.err_code == NO_MESSAGE:
                    return None
                raise
        return _stored(raw)


def _depth(found: ConsumerInfo) -> Depth:
    delivered = found.delivered.stream_seq if found.delivered else 0
    return Depth(found.num_pending or 0, found.num_ack_pending or 0, delivered, found.config.max_deliver or 0)


def _limit(said: int | None) -> int | None:
    """The server says -1 for none, and an older one 0."""
    return said if said and said > 0 else None


def _stored(raw: RawStreamMsg) -> StoredMessage:
    """Header values become text: nats-py gives an email Header for one that is not ASCII."""
    if raw.subject is None or raw.seq is None or raw.time is None:
        raise TypeError("a message without a subject, a sequence or a time")
    headers = {name: str(value) for name, value in (raw.headers or {}).items()}
    return StoredMessage(raw.data or b"", raw.subject, headers, raw.seq, raw.time)
