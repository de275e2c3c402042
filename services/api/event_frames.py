"""A job's events as the frames of a stream, in the text form of Server-Sent Events (WHATWG HTML, section 9.2). Pure."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from libs.common.domain.events import Envelope
from libs.common.domain.job import Job, apply
from services.api.views import STAGE_WORDS, EventView, Percent, StageWord, View, last_events

RETRY = 2000
OPENING = f"retry: {RETRY}\n\n".encode()
"""How long a client waits before it connects again, in milliseconds."""
KEEP_ALIVE = b":\n\n"
"""A comment, which clients pass over."""

Numbered = tuple[int, Envelope | None]
"""An event with its number among its job's; None for one that only a newer version knows."""


class JobMoment(View, frozen=True, kw_only=True):
    status: Literal["queued", "processing", "done", "failed", "cancelled", "expired"]
    stage: StageWord
    progress: Percent


class StreamedEvent(EventView, frozen=True, kw_only=True):
    """The `data` of one event of a stream."""

    job: Annotated[JobMoment, Meta(description="The job after this event.")]


class Telling:
    """One stream's place in its job's events: all of them are folded, and those behind `after` told."""

    def __init__(self, after: int) -> None:
        self._after = after
        self.seq, self.job = 0, Job()

    def frames(self, events: list[Numbered]) -> bytes:
        """Of the events that follow those so far."""
        return b"".join(self._frame(seq, envelope) for seq, envelope in events)

    def _frame(self, seq: int, envelope: Envelope | None) -> bytes:
        self.seq = seq
        if envelope is None:
            return b""
        self.job = apply(self.job, envelope)
        return frame(seq, envelope, self.job) if seq > self._after else b""


def frame(seq: int, envelope: Envelope, job: Job) -> bytes:
    """One event. JSON has no line breaks of its own, so its data is one line."""
    (told,) = last_events([envelope])
    streamed = StreamedEvent(ts=told.ts, type=told.type, data=told.data, job=moment(job))
    return f"id: {seq}\nevent: {told.type}\ndata: ".encode() + msgspec.json.encode(streamed) + b"\n\n"


def moment(job: Job) -> JobMoment:
    assert job.status != "unknown"  # noqa: S101  it has an event
    return JobMoment(status=job.status, stage=STAGE_WORDS[job.stage] if job.stage else "queued", progress=round(job.progress, 1))
