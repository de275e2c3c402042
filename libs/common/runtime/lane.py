"""One durable pull consumer: what it has at once, or the next message that comes within a while."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import nats.errors
from nats.aio.msg import Msg

from libs.common.domain.events import Priority, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import CLIPS, durable
from libs.common.runtime.jetstream import JetStreamBus, JetStreamDelivery, as_outage

POLL = 3.0
"""Seconds that an idle pull waits: with PULL_GRACE, the longest that the death of a server or a leader can hide a message."""
PULL_GRACE = 2.0
RESTORE_LIMIT = 2.0
NO_RESPONDERS = "503"
NOTHING = {None, "404", "408", "409"}
"""Ends of an answer that say no more than that there is no more."""


@dataclass(slots=True)
class Answer:
    """Of one question: the messages, and what ended them."""

    most: int
    messages: list[Msg] = field(default_factory=list)
    status: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, msg: Msg) -> None:
        """The server ends with a status where it has fewer than were asked for; a new message with none behind it tells the same sooner."""
        if (status := _status(msg)) is not None:
            self.status = status
            return self.ended.set()
        self.messages.append(msg)
        if len(self.messages) == self.most or (msg.metadata.num_pending == 0 and msg.metadata.num_delivered == 1):
            self.ended.set()


class Lane:
    """One durable pull consumer, asked for all that fits, at once, or for one message, waiting."""

    def __init__(
        self, bus: JetStreamBus, stage: StageName, priority: Priority, *, restore: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        """`restore` is called when nobody answers for the consumer: it may be gone, or its leader be away. It tells whether it made one."""
        self._bus = bus
        self._restore = restore
        self._restoring = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._made = 0
        """How often we had to make the consumer."""
        self._durable = durable(stage, priority)
        self._subject = f"{bus.api}.CONSUMER.MSG.NEXT.{CLIPS}.{self._durable}"
        self._inbox = ""
        self._questions = 0
        self._answer: Answer | None = None

    async def take_now(self, most: int) -> list[JetStreamDelivery]:
        """So many messages, or all that there are now. Never cancelled in the middle: that would lose time."""
        self._bus._be_connected()  # noqa: SLF001  the same package
        answer = Answer(most)
        with as_outage():
            await self._answered(answer)
        if not answer.messages and answer.status not in NOTHING:
            raise await self._refused(answer.status)
        return [self._delivery(msg) for msg in answer.messages]

    async def _answered(self, answer: Answer) -> None:
        """One question at a time, on one inbox: a message keeps its own subject there, a status has that of its question."""
        async with self._asking:
            client = self._bus.client
            if not self._inbox:
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._heard)
            self._questions += 1
            self._answer = answer
            try:
                question = json.dumps({"batch": answer.most, "no_wait": True}).encode()
                await client.publish(self._subject, question, reply=self._reply_to)
                with suppress(TimeoutError):
                    async with asyncio.timeout(PULL_GRACE):
                        await answer.ended.wait()
            finally:
                self._answer = None

    @property
    def _reply_to(self) -> str:
        return f"{self._inbox}.{self._questions}"

    async def _heard(self, msg: Msg) -> None:
        """What comes too late, or is more than there is room for, goes back at once."""
        is_status = _status(msg) is not None
        if is_status and msg.subject != self._reply_to:
            return
        if self._answer and not self._answer.ended.is_set():
            self._answer.add(msg)
        elif not is_status:
            with suppress(nats.errors.Error):
                await msg.nak(delay=0.001)

    async def take(self, *, wait: float) -> JetStreamDelivery | None:
        """The lane's next message, or None if none came within `wait` seconds. Never cancelled in the middle: that would lose time."""
        self._bus._be_connected()  # noqa: SLF001  the same package
        with as_outage():
            msg = await self._reply(json.dumps({"batch": 1, "expires": int(wait * 1e9)}).encode(), wait + PULL_GRACE)
        if msg is None or (status := _status(msg)) in NOTHING - {None}:
            return None
        if status is not None:
            raise await self._refused(status)
        return self._delivery(msg)

    def _delivery(self, msg: Msg) -> JetStreamDelivery:
        return JetStreamDelivery(msg, partial(self._made_since, self._made))

    async def _refused(self, status: str | None) -> Failure:
        if status == NO_RESPONDERS:
            with as_outage():
                await self._make_again()
            return Failure(Code.RETRYABLE_ERROR, f"the consumer {self._durable} is not there", outage="nats")
        return Failure(Code.RETRYABLE_ERROR, f"the consumer {self._durable} answered {status}", outage="nats")

    async def _made_since(self, made: int) -> bool:
        """Whether the consumer is another than it was, now that nobody answered for it."""
        with suppress(Failure, TimeoutError):
            await self._make_again()
        return self._made > made

    async def _make_again(self) -> None:
        async with self._restoring, asyncio.timeout(RESTORE_LIMIT):
            self._made += bool(self._restore and await self._restore())

    async def _reply(self, body: bytes, timeout: float) -> Msg | None:  # noqa: ASYNC109  nats-py's own way
        """As nats-py's request, but when it is cancelled the server is told: it would go on sending messages where nobody listens."""
        client, reply = self._bus.client, asyncio.get_running_loop().create_future()
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, future=reply, max_msgs=1)
        await subscription.unsubscribe(limit=1)
        try:
            await client.publish(self._subject, body, reply=inbox)
            async with asyncio.timeout(timeout):
                msg: Msg = await reply
                return msg
        except TimeoutError:
            return None
        finally:
            if not reply.done() or reply.cancelled():
                with suppress(nats.errors.Error):
                    await subscription.unsubscribe()


def _status(msg: Msg) -> str | None:
    return (msg.headers or {}).get("Status")
