"""A job in words: where it stands, how long it may take, what it is made of. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from clipstream.cli.plain import about, ordinal
from clipstream.cli.times import clock
from clipstream.models import Job, Range

STAGES = {
    "queued": "queued",
    "resolving": "looking at the source",
    "clipping": "cutting",
    "transcribing": "transcribing",
    "burning": "burning in the subtitles",
}
ENDS = {"done": "done", "failed": "failed", "cancelled": "cancelled"}
FRAME = 0.05
"""Seconds: nobody sees less."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands: percent done, place in the queue from 1, seconds until done; None where that is not known."""

    status: str
    stage: str
    percent: float
    position: int | None = None
    seconds: float | None = None

    @property
    def words(self) -> str:
        """What is being done, without figures that change all the time."""
        waiting = f", {ordinal(self.position)} in the queue" if self.status == "queued" and self.position else ""
        return ENDS.get(self.status) or STAGES.get(self.stage, self.stage) + waiting

    @property
    def outlook(self) -> str:
        return f"about {about(self.seconds)} left" if self.seconds and self.status not in ENDS else ""


def standing_of(job: Job) -> Standing:
    return Standing(job.status, job.stage, job.progress, job.queue_position, job.estimated_seconds)


def after(standing: Standing, state: Any) -> Standing:
    """With what an event says; the queue is left behind by then."""
    return replace(standing, status=state.status, stage=state.stage, percent=state.progress, position=None)


def facts_of(job: Job) -> Iterator[tuple[str, str]]:
    """Names and values, for one screen. What came from the server is not yet plain."""
    standing = standing_of(job)
    yield "job", str(job.id)
    yield "status", _status_of(standing)
    yield "range", range_of(job)
    yield from cut_of(job)
    if wishes := ", ".join(_wishes_of(job)):
        yield "asked for", wishes
    if job.error:
        yield "error", f"{job.error.message} ({job.error.code})"
        yield "hint", job.error.hint
    for warning in job.warnings or ():
        yield "warning", warning.message
    for name, value in (job.metadata or {}).items():
        yield f"label {name}", value
    yield "created", moment(job.created_at)
    yield "kept until", moment(job.expires_at)


def _status_of(standing: Standing) -> str:
    if standing.status in ENDS:
        return standing.words
    return ", ".join(filter(None, (standing.words, f"{standing.percent:.0f} %", standing.outlook)))


def range_of(job: Job) -> str:
    """As asked; of a joined clip each of its parts."""
    whole = () if job.start is None or job.end is None else (Range(start=job.start, end=job.end),)
    return ", ".join(f"{clock(part.start)} to {clock(part.end)}" for part in job.segments or whole)


def cut_of(job: Job) -> Iterator[tuple[str, str]]:
    """Where the clip really begins and ends, once it is cut, and by which path."""
    if job.actual_start is not None and job.actual_end is not None:
        path = f" ({job.cut_path})" if job.cut_path else ""
        yield "cut at", f"{clock(job.actual_start)} to {clock(job.actual_end)}{path}"


def begins_elsewhere(job: Job) -> str:
    """What to say where a fast cut begins before the start that was asked for; else nothing."""
    if job.start is None or job.actual_start is None or job.segments or abs(job.actual_start - job.start) < FRAME:
        return ""
    return (
        f"the clip begins at {clock(job.actual_start)}, the keyframe before {clock(job.start)}; without --fast it begins there to the frame"
    )


def _wishes_of(job: Job) -> Iterator[str]:
    if job.with_subtitles:
        yield f"subtitles ({job.subtitle_lang})"
    if job.burn_subtitles:
        yield "subtitles in the picture"
    yield from job.presets or ()
    if job.accuracy == "fast":
        yield "a fast cut"
    if job.priority != "normal":
        yield f"{job.priority} priority"


def moment(at: datetime | None) -> str:
    """In the zone of who reads it."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""
