"""JetStream as far as the system relies on it, in memory: three streams, the duplicate window, and the consumers of CLIPS.

The rules are NATS's own: an ack, nak or sign of life counts, however late; beyond max_deliver a message stays and an advisory is left.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import nats.errors
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError, ServerError

from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, durable
from libs.common.runtime.stored_messages import NO_MESSAGE
from tests.fakes import NOW
from tests.runtime.simulation.gates import ACTOR, Killed, through_gate

DUPLICATE_WINDOW = 600.0
ACK_WAIT = 30.0
FULL = 10077
"""The server's code for a stream that holds as many messages as it may."""
MAX_DELIVER = 5
"""Fewer than in production, so that the last net is seen to hold."""
STAGES = {subject: stage for stage, subject in SUBJECTS.items()}


@dataclass(eq=False)
class Stored:
    """A message in its stream, and what its consumer knows of it. Times are the loop's, in seconds."""

    sequence: int
    subject: str
    body: bytes
    headers: dict[str, str]
    at: float
    deliveries: int = 0
    not_before: float = 0.0
    is_out: bool = False
    is_given_up: bool = False
    was_handed_back_late: bool = False
    """By a worker that had it before: the server takes it from the one that has it now."""

    @property
    def stage(self) -> StageName:
        return STAGES[".".join(self.subject.split(".")[:2])]

    @property
    def consumer(self) -> str:
        lane = self.subject.split(".")[2:]
        return durable(self.stage, Priority(lane[0]) if lane else Priority.NORMAL)


@dataclass
class Stream:
    messages: dict[int, Stored] = field(default_factory=dict)
    last: int = 0
    seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def store(self, subject: str, body: bytes, headers: dict[str, str], now: float) -> tuple[int, bool]:
        """The message's sequence, and whether it was there already."""
        message_id = headers.get("Nats-Msg-Id")
        if message_id and message_id in self.seen and now < self.seen[message_id][1]:
            return self.seen[message_id][0], True
        self.last += 1
        self.messages[self.last] = Stored(self.last, subject, body, headers, now)
        if message_id:
            self.seen[message_id] = (self.last, now + DUPLICATE_WINDOW)
        return self.last, False


class Watcher:
    """What the ledger wants to hear of."""

    def stored(self, stream: str, subject: str, body: bytes, headers: dict[str, str]) -> None: ...
    def removed(self, message: Stored) -> None: ...
    def letter_removed(self, letter: Stored) -> None: ...
    def given_up(self, message: Stored) -> None: ...
    def handed_back(self) -> None: ...


class MemoryJetStream:
    """In place of nats-py's JetStreamContext. What changes a stream passes a gate; what only reads one does not."""

    _prefix = "$JS.API"

    def __init__(self, clock: Callable[[], float], watcher: Watcher) -> None:
        self.clock = clock
        self.watcher = watcher
        self.is_up = True
        self.full: set[str] = set()
        self.streams = {CLIPS: Stream(), DLQ: Stream(), ADVISORIES: Stream()}

    @property
    def work(self) -> dict[int, Stored]:
        return self.streams[CLIPS].messages

    def put(self, stream: str, subject: str, body: bytes, headers: dict[str, str]) -> Any:
        sequence, duplicate = self.streams[stream].store(subject, body, headers, self.clock())
        self.watcher.stored(stream, subject, body, headers)
        return SimpleNamespace(seq=sequence, duplicate=duplicate)

    async def publish(self, subject: str, payload: bytes, *, timeout: float, stream: str, headers: dict[str, str]) -> Any:  # noqa: ASYNC109  nats-py's own way
        def put() -> Any:
            if stream in self.full:
                raise ServerError(code=503, err_code=FULL, description="maximum messages exceeded")
            return self.put(stream, subject, payload, headers)

        return await self._gated(f"publish {subject}", put)

    async def delete_msg(self, stream: str, seq: int) -> bool:
        return bool(await self._gated(f"delete {stream}", lambda: self.delete(stream, seq)))

    async def stream_info(self, stream: str, subjects_filter: str = "") -> Any:
        self._be_reached()
        found = self.streams[stream]
        first, size = min(found.messages, default=found.last + 1), sum(len(message.body) for message in found.messages.values())
        state = SimpleNamespace(first_seq=first, last_seq=found.last, messages=len(found.messages), bytes=size, subjects=None)
        return SimpleNamespace(state=state, config=SimpleNamespace(max_msgs=-1, max_bytes=-1))

    async def get_msg(self, stream: str, seq: int, *, subject: str | None = None, next: bool = False) -> RawStreamMsg:  # noqa: A002  nats-py's name
        self._be_reached()
        messages = self.streams[stream].messages
        found = next_of(messages, seq, subject or ">") if next else messages.get(seq)
        if found is None:
            raise NotFoundError(code=404, err_code=NO_MESSAGE, description="no message found")
        at = NOW + timedelta(seconds=found.at)
        return RawStreamMsg(subject=found.subject, seq=found.sequence, data=found.body, headers=dict(found.headers), time=at)

    def delete(self, stream: str, sequence: int) -> bool:
        if sequence not in self.streams[stream].messages:
            raise ServerError(code=500, err_code=10057, description="message not found")
        self._remove(stream, sequence)
        return True

    def end_duplicate_window(self) -> None:
        for stream in self.streams.values():
            stream.seen.clear()

    def due(self) -> list[Stored]:
        """What a consumer would give out now; what was given out too often leaves an advisory instead."""
        for message in list(self.work.values()):
            if message.not_before <= self.clock() and message.deliveries >= MAX_DELIVER and not message.is_given_up:
                message.is_given_up = True
                self.watcher.given_up(message)
                self._advise("max_deliver", message)
        return [message for message in self.work.values() if message.not_before <= self.clock() and not message.is_given_up]

    def deliver(self, message: Stored) -> "SimulatedDelivery":
        message.deliveries += 1
        message.is_out = True
        message.not_before = self.clock() + ACK_WAIT
        return SimulatedDelivery(self, message)

    def settle(self, message: Stored, word: str) -> None:
        """ack or term, by anyone who ever had it."""
        if message.sequence in self.work:
            if word == "term":
                self._advise("terminated", message)
            self._remove(CLIPS, message.sequence)

    def hand_back(self, delivery: "SimulatedDelivery", delay: float) -> None:
        message = delivery.message
        message.was_handed_back_late |= delivery.deliveries < message.deliveries
        self.watcher.handed_back()
        if message.is_out:
            message.not_before = self.clock() + delay

    def hold(self, message: Stored) -> None:
        if message.is_out and message.not_before <= self.clock() + ACK_WAIT:
            message.not_before = self.clock() + ACK_WAIT

    def _remove(self, stream: str, sequence: int) -> None:
        message = self.streams[stream].messages.pop(sequence)
        if stream == CLIPS:
            self.watcher.removed(message)
        elif stream == DLQ:
            self.watcher.letter_removed(message)

    def _advise(self, kind: str, message: Stored) -> None:
        told = {"type": f"io.nats.jetstream.advisory.v1.{kind}", "consumer": message.consumer, "stream_seq": message.sequence}
        self.put(ADVISORIES, f"$JS.EVENT.ADVISORY.{kind}", json.dumps({**told, "deliveries": message.deliveries}).encode(), {})

    def _be_reached(self) -> None:
        if ACTOR.get().process.is_dead:
            raise Killed
        if not self.is_up:
            raise nats.errors.TimeoutError

    async def _gated(self, label: str, effect: Callable[[], Any]) -> Any:
        return await through_gate(label, "nats", effect, nats.errors.TimeoutError)


def next_of(messages: dict[int, Stored], sequence: int, subject: str) -> Stored | None:
    """The first from `sequence` on whose subject fits; `>` stands for any rest."""
    head = subject.removesuffix(">")
    fits = (
        m
        for m in messages.values()
        if m.sequence >= sequence and (m.subject == subject or (head != subject and m.subject.startswith(head)))
    )
    return next(fits, None)


class MemoryClient:
    """In place of nats-py's Client, as far as the bus asks it."""

    max_payload = 1024 * 1024

    def __init__(self, js: MemoryJetStream) -> None:
        self._js = js

    @property
    def is_connected(self) -> bool:
        return self._js.is_up

    async def flush(self, timeout: float) -> None:  # noqa: ASYNC109  nats-py's own way
        if not self._js.is_up:
            raise nats.errors.TimeoutError


@dataclass(eq=False)
class SimulatedDelivery:
    """One message in a worker's hands; a worker that is frozen or dead says nothing."""

    js: MemoryJetStream
    message: Stored

    def __post_init__(self) -> None:
        self.body, self.subject, self.sequence = self.message.body, self.message.subject, self.message.sequence
        self.headers = dict(self.message.headers)
        self.deliveries = self.message.deliveries

    @property
    def is_by_hand(self) -> bool:
        return "Nats-Msg-Id" not in self.headers

    async def in_progress(self) -> None:
        process = ACTOR.get().process
        if not self.js.is_up:
            raise away()
        if not (process.is_dead or process.is_frozen):
            self.js.hold(self.message)

    async def ack(self) -> None:
        await through_gate("ack", "nats", lambda: self.js.settle(self.message, "ack"), away)

    async def nak(self, delay: float) -> None:
        await through_gate("nak", "nats", lambda: self.js.hand_back(self, delay), away)

    async def term(self, reason: str) -> None:
        await through_gate("term", "nats", lambda: self.js.settle(self.message, "term"), away)


def away() -> Failure:
    return Failure(Code.RETRYABLE_ERROR, "the message server can't be reached", outage="nats")
