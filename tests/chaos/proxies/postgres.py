"""A proxy that reads Postgres's protocol: it cuts the connection around the commit of an event, before it or just after.

The wire: https://www.postgresql.org/docs/current/protocol-message-formats.html. TLS is refused, so that we can read.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random

from tests.chaos.proxies.tcp import Link, Proxy

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
APPENDS = b"INSERT INTO job_events"


@dataclass(frozen=True, slots=True)
class Message:
    kind: bytes
    body: bytes

    @property
    def wire(self) -> bytes:
        return self.kind + struct.pack("!I", len(self.body) + 4) + self.body


async def messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Of either side after the start-up. Ends with asyncio.IncompleteReadError."""
    while True:
        kind, size = struct.unpack("!cI", await reader.readexactly(5))
        yield Message(kind, await reader.readexactly(size - 4))


@dataclass(slots=True)
class Session:
    """What one connection has prepared and is about to run; `is_over` once it has been decided that its client hears no more."""

    statements: dict[bytes, bytes] = field(default_factory=dict)
    portals: dict[bytes, bytes] = field(default_factory=dict)
    """What each would run: the statement's text, and the message that bound its values to it."""
    is_over: bool = False

    def note(self, message: Message) -> None:
        match message.kind:
            case b"P":
                name, text, *_ = message.body.split(b"\0", 2)
                self.statements[name] = text
            case b"B":
                portal, name, *_ = message.body.split(b"\0", 2)
                self.portals[portal] = self.statements.get(name, b"") + message.body

    def appends(self, message: Message, what: bytes) -> bool:
        """True for the Execute of a statement that writes an event in which `what` occurs."""
        bound = self.portals.get(message.body.partition(b"\0")[0], b"") if message.kind == b"E" else b""
        return APPENDS in bound and what in bound


class PostgresProxy(Proxy):
    """Cuts at every `every`-th append of an event in which `what` occurs, while `left` is not used up.

    The cut comes with the chance `before` before the server has it, else after it is committed and before the client hears of that.
    """

    def __init__(self, url: str, *, seed: int, left: int, every: int = 1, what: bytes = b"", before: float = 0.5) -> None:
        super().__init__(url)
        self.left = left
        self._every, self._what, self._before = every, what, before
        self.counts: Counter[str] = Counter()
        self._random = Random(seed)
        self._sessions: dict[Link, Session] = {}

    async def upwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        session = self._sessions[link] = Session()
        try:
            await self._start_up(link, reader)
            async for message in messages(reader):
                session.note(message)
                if self._is_due(session, message) and self._cut_before(link, session):
                    return
                await link.to_server(message.wire)
        finally:
            del self._sessions[link]

    async def downwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        async for message in messages(reader):
            session = self._sessions.get(link)
            if session is None or not session.is_over:
                await link.to_client(message.wire)
            elif message.kind == b"Z":  # ready for the next: what came before is committed
                link.cut()
                return

    async def _start_up(self, link: Link, reader: asyncio.StreamReader) -> None:
        """The messages without a kind, up to the one that names user and database."""
        while True:
            head = await reader.readexactly(8)
            size, code = struct.unpack("!II", head)
            if code not in {SSL_REQUEST, GSS_REQUEST}:
                await link.to_server(head + await reader.readexactly(size - 8))
                if code != CANCEL_REQUEST:
                    return
                continue
            await link.to_client(b"N")

    def _is_due(self, session: Session, message: Message) -> bool:
        if not session.appends(message, self._what):
            return False
        self.counts["appends"] += 1
        return self.left > 0 and self.counts["appends"] % self._every == 0

    @property
    def injected(self) -> int:
        return self.counts["before"] + self.counts["after"]

    def _cut_before(self, link: Link, session: Session) -> bool:
        """Decide which side of the commit the cut is on; True when it was before, and is done."""
        self.left -= 1
        before = self._random.random() < self._before
        self.counts["before" if before else "after"] += 1
        session.is_over = True
        if before:
            link.cut()
        return before
