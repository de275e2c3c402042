"""A proxy that reads NATS's own protocol: it loses acknowledgements, doubles messages, delays, and hides the way around itself.

The wire: https://docs.nats.io/reference/reference-protocols/nats-protocol; acks and PubAcks are JetStream's ADR-1 and ADR-15.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from libs.common.domain.events import SUBJECTS, Priority
from libs.common.domain.subjects import subject_for
from tests.chaos.proxies.tcp import Link, Proxy

END = b"\r\n"
SIZED = {b"PUB", b"HPUB", b"MSG", b"HMSG"}
"""The verbs that a payload follows; its size is the last word of their line."""
WORK = {subject_for(subject, priority).encode() for subject in SUBJECTS.values() for priority in Priority}
ID = b"Nats-Msg-Id: "

Fault = Literal["ack", "pub_ack", "twin"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One command of either side: its line without the end of line, and what follows it (headers included), b"" if nothing."""

    line: bytes
    payload: bytes = b""

    @property
    def verb(self) -> bytes:
        return self.line.partition(b" ")[0].upper()

    @property
    def subject(self) -> bytes:
        words = self.line.split()
        return words[1] if len(words) > 1 else b""

    @property
    def body(self) -> bytes:
        """The payload without its headers, whose size is the last word but one of HPUB's and HMSG's line."""
        return self.payload[int(self.line.split()[-2]) :] if self.verb in {b"HPUB", b"HMSG"} else self.payload

    @property
    def wire(self) -> bytes:
        return self.line + END + (self.payload + END if self.verb in SIZED else b"")


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[Frame]:
    """Until the stream ends; asyncio.IncompleteReadError when that is in the middle of one."""
    while line := (await reader.readline()).removesuffix(END):
        frame = Frame(line)
        if frame.verb in SIZED:
            payload = await reader.readexactly(int(line.split()[-1]) + len(END))
            frame = Frame(line, payload.removesuffix(END))
        yield frame


def is_ack(frame: Frame) -> bool:
    """The end of a message, by its consumer: not its heartbeat, nor its being handed back or terminated."""
    return frame.verb in {b"PUB", b"HPUB"} and frame.subject.startswith(b"$JS.ACK.") and frame.body in {b"", b"+ACK"}


def is_pub_ack(frame: Frame) -> bool:
    """The stream's word that it has what was published."""
    if frame.verb not in {b"MSG", b"HMSG"} or not frame.subject.startswith(b"_INBOX") or b'"seq"' not in frame.body:
        return False
    answer = json.loads(frame.body)
    return {"stream", "seq"} <= answer.keys() and "type" not in answer


def is_work(frame: Frame) -> bool:
    return frame.verb == b"HPUB" and frame.subject in WORK and ID in frame.payload


def twin_of(frame: Frame) -> Frame:
    """The same message under another id, so that the stream keeps both; nobody waits for its PubAck."""
    size = int(frame.line.split()[-2])
    headers = frame.payload[:size].replace(ID, ID + b"twin:", 1)
    payload = headers + frame.body
    return Frame(b"HPUB %b %d %d" % (frame.subject, len(headers), len(payload)), payload)


def without_ways_around(frame: Frame) -> Frame:
    """INFO names the cluster's own addresses; a client that learned them would pass us by."""
    info = json.loads(frame.line[len(b"INFO ") :])
    return Frame(b"INFO " + json.dumps(info | {"connect_urls": []}).encode())


class NatsProxy(Proxy):
    """`chance` of each fault is 0 to 1 and may change while we run; `counts` says what was done."""

    def __init__(self, url: str, *, seed: int, twin_after: float = 0.0, **chance: float) -> None:
        super().__init__(url)
        self.chance: dict[str, float] = chance
        self.counts: Counter[str] = Counter()
        self.delay = 0.0
        """Seconds that a frame waits at most, either way."""
        self._twin_after = twin_after
        self._random = Random(seed)

    async def upwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        async for frame in frames(reader):
            await self._late()
            if is_ack(frame) and self._strikes("ack"):
                continue
            await link.to_server(frame.wire)
            if is_work(frame) and self._strikes("twin"):
                self._double(link, frame)

    async def downwards(self, link: Link, reader: asyncio.StreamReader) -> None:
        async for frame in frames(reader):
            await self._late()
            if is_pub_ack(frame) and self._strikes("pub_ack"):
                continue
            await link.to_client((without_ways_around(frame) if frame.verb == b"INFO" else frame).wire)

    def _strikes(self, fault: Fault) -> bool:
        struck = self._random.random() < self.chance.get(fault, 0.0)
        self.counts[fault] += struck
        return struck

    def _double(self, link: Link, frame: Frame) -> None:
        wire = twin_of(frame).wire
        asyncio.get_running_loop().call_later(self._twin_after, link.server.write, wire)

    async def _late(self) -> None:
        if self.delay:
            await asyncio.sleep(self._random.uniform(0, self.delay))
