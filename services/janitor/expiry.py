"""What becomes of a job whose time is up, and which files its history names. Decides only; retention.py acts."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.domain.due import Due
from libs.common.domain.edits import edit_key, is_edit
from libs.common.domain.event_ids import expiry_id
from libs.common.domain.events import ClipBurned, ClipUploaded, Envelope, Failed, JobExpired, JobReplayed, SourceReady, StageStarted, encode
from libs.common.domain.job import Job, answering_stage, fold


@dataclass(frozen=True, slots=True)
class PutOff:
    """It is at work: its time is up when it has been silent for as long as jobs are kept."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Expire:
    """Its end is written, as its next event; or it is there already, because a client deleted the job or a janitor died."""

    job: Job
    event: Envelope | None
    is_stuck: bool


@dataclass(frozen=True, slots=True)
class Purge:
    """The last trace of a job that expired before."""


Fate = PutOff | Expire | Purge


def fate_of(due: Due, now: datetime, kept: timedelta) -> Fate:
    job = fold(due.history)
    if job.requested is None:
        return Purge()
    if job.status == "expired":
        return Expire(job, None, is_stuck=False)
    if not job.is_over and (until := due.history[-1].at + kept) > now:
        return PutOff(until)
    return Expire(job, expired(due.job_id, job, now), is_stuck=not job.is_over)


def expired(job_id: UUID, job: Job, now: datetime) -> Envelope:
    """From this event on the job is over: a stage that works on it stops at its next look. To other tenants it stays unknown."""
    event = JobExpired(tenant=job.tenant)
    return Envelope(id=expiry_id(job_id), job_id=job_id, run=job.run, at=now, correlation_id=job.correlation_id, event=event)


@dataclass(frozen=True, slots=True)
class Files:
    """The job's own objects in both buckets. `is_all`: it can have left no others, so that nobody has to ask S3."""

    sources: tuple[str, ...]
    results: tuple[str, ...]
    is_all: bool


def files_of(due: Due) -> Files:
    """All keys in the job's folders that any of its events names, whatever the field is called."""
    job, events = due.job_id, due.history
    text = b"\n".join(encode(each) for each in events).decode()
    named = {*re.findall(rf'"((?:sources|results)/{job}/[\w.-]+)"', text, flags=re.ASCII)}
    named |= {edit_key(job, e.event.source) for e in events if isinstance(e.event, JobReplayed) and is_edit(e.event.source)}
    sources = tuple(sorted(key for key in named if key.startswith("sources/")))
    return Files(sources, tuple(sorted(named - set(sources))), is_all=is_told(events))


def is_told(events: Iterable[Envelope]) -> bool:
    """Whether each start came to its answer, at the first try: what a broken attempt left behind, no event names."""
    starts: Counter[tuple[object, int]] = Counter()
    answered: set[tuple[object, int]] = set()
    for each in events:
        if isinstance(each.event, StageStarted):
            starts[each.event.stage, each.run] += 1
        elif not isinstance(each.event, Failed) and (stage := answering_stage(each.event)):
            answered.add((stage, each.run))
    return all(count == 1 and start in answered for start, count in starts.items())


def bytes_of(due: Due) -> int:
    """What the events say of the files' sizes: the clip's, the burned one's and the fetched source's; small ones are not counted."""
    return sum(
        each.event.size
        for each in due.history
        if isinstance(each.event, ClipUploaded | ClipBurned)
        or (isinstance(each.event, SourceReady) and each.event.source_key.startswith(f"sources/{due.job_id}/"))
    )
