"""The message bus as the rest of the system sees it: a message, one in our hands, and the verbs. jetstream.py is the real one."""

from typing import Protocol

from libs.common.domain.events import Envelope, StageName
from libs.common.domain.failures import Failure


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
    def deliveries(self) -> int:
        """How often it has been delivered, this time included."""
        ...

    @property
    def is_by_hand(self) -> bool:
        """True for a message that no service published: the operator's own `nats pub`, which carries no id."""
        ...

    async def in_progress(self) -> None: ...
    async def ack(self) -> None: ...
    async def nak(self, delay: float) -> None: ...
    async def term(self, reason: str) -> None: ...


class Bus(Protocol):
    async def publish(self, envelope: Envelope, *, message_id: str | None = None) -> bool:
        """Put the event where its consumer finds it, confirmed; nothing for one that does not travel.

        False when the stream had this message, or this `message_id` if one is given, within its duplicate window, and dropped it.
        """
        ...

    async def bury(self, message: Message, stage: StageName, failure: Failure, attempts: int) -> None:
        """Copy the message, whole, to the dead letters, with the reason in its headers."""
        ...

    async def ping(self) -> None: ...
