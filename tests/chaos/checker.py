"""Judges a run by what it left: the events, the streams, the buckets, the processes. Decides only; evidence.py gathers.

lost: an accepted job that is not there, ended in another way than it had to, or whose files are not what its events say.
duplicate: two answers, two events, two letters where one belongs. stuck: no end. orphan: what belongs to nobody.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from libs.common.domain.events import (
    AnyEvent,
    AsrDone,
    ClipBurned,
    ClipsRequested,
    ClipUploaded,
    Envelope,
    Failed,
    JobReplayed,
    LetterDiscarded,
    SourceReady,
    StageName,
)
from libs.common.domain.job import Job, answering_stage, fold
from libs.common.domain.progress import stages_of
from libs.common.domain.subjects import DLQ

Kind = Literal["lost", "duplicate", "stuck", "orphan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a job must end, and with which frames in its clip. `codes`: the errors or warnings that it may bear; none unless said."""

    kind: str
    statuses: frozenset[str] = frozenset({"done"})
    codes: frozenset[str] = frozenset()
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of job_events."""

    event_id: UUID
    job_id: UUID
    seq: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of DLQ. `stage` as its header says."""

    sequence: int
    job_id: UUID | None
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`expected` by the number that a job bears in its metadata; `accepted` are those that were answered with 202."""

    expected: Mapping[int, Expected]
    accepted: Mapping[UUID, int]
    rows: Sequence[Row]
    queued: Sequence[str] = ()
    letters: Sequence[Letter] = ()
    objects: Mapping[str, int] = field(default_factory=dict)
    """Sizes in bytes by key, of both buckets."""
    cached: frozenset[str] = frozenset()
    """Keys that the source cache names."""
    uploads: Sequence[str] = ()
    """Multipart uploads that nobody finished."""
    frames: Mapping[str, int] = field(default_factory=dict)
    """Pictures that were decoded, by key, of the clips that were looked at."""
    served: Mapping[str, int] = field(default_factory=dict)
    """Bytes that a result's signed URL gave, by key, of those that were asked for; -1 for none."""
    orphans: Sequence[str] = ()
    """Processes without their parent."""
    untidy: Sequence[str] = ()
    """Scratch folders that a process left that was not killed."""
    max_attempts: int = 3


@dataclass(frozen=True, slots=True)
class Problem:
    kind: Kind
    job_id: UUID | None
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """`charged`: of each job, the starts beyond the first that counted against a stage's attempts."""

    jobs: Mapping[UUID, Job]
    problems: tuple[Problem, ...]

    @property
    def charged(self) -> dict[UUID, int]:
        return {job_id: charged for job_id, job in self.jobs.items() if (charged := charged_starts(job))}


def judged(evidence: Evidence) -> Finding:
    """Everything that is not exact."""
    histories: dict[UUID, list[Row]] = defaultdict(list)
    for row in sorted(evidence.rows, key=lambda row: row.seq):
        histories[row.job_id].append(row)
    jobs = {job_id: fold(row.envelope for row in rows) for job_id, rows in histories.items()}
    problems = [*_missing(evidence, histories), *_twice(histories, jobs), *_left_over(evidence, histories, jobs)]
    for job_id, job in jobs.items():
        problems += [Problem(kind, job_id, text) for kind, text in _of_job(evidence, histories[job_id], job)]
    return Finding(jobs, tuple(problems))


def charged_starts(job: Job) -> int:
    """Beyond each stage's first, which is no charge."""
    return sum(max(0, attempts - 1) for attempts in job.attempts.values())


def number_of(evidence: Evidence, job_id: UUID, job: Job) -> int | None:
    """A job that was not answered with 202 has its number in what it asks for."""
    if job_id in evidence.accepted:
        return evidence.accepted[job_id]
    return int(job.requested.metadata.get("n", "0")) or None if job.requested else None


def _missing(evidence: Evidence, histories: Mapping[UUID, list[Row]]) -> Iterator[Problem]:
    for job_id in evidence.accepted:
        if job_id not in histories:
            yield Problem("lost", job_id, "was answered with 202 and has no event")


def _twice(histories: Mapping[UUID, list[Row]], jobs: Mapping[UUID, Job]) -> Iterator[Problem]:
    ids = Counter(row.event_id for rows in histories.values() for row in rows)
    for event_id in (event_id for event_id, count in ids.items() if count > 1):
        yield Problem("duplicate", None, f"event {event_id} has {ids[event_id]} rows")
    numbers = Counter(job.requested.metadata.get("n") for job in jobs.values() if job.requested)
    for number in (number for number, count in numbers.items() if number and count > 1):
        yield Problem("duplicate", None, f"submission {number} made {numbers[number]} jobs")


def _left_over(evidence: Evidence, histories: Mapping[UUID, list[Row]], jobs: Mapping[UUID, Job]) -> Iterator[Problem]:
    for message in evidence.queued:
        yield Problem("stuck", None, f"still in CLIPS: {message}")
    for text in (*evidence.orphans, *evidence.untidy, *evidence.uploads):
        yield Problem("orphan", None, text)
    named = {key for job in jobs.values() for key in (*_named(job), job.edited_key) if key}
    for key in evidence.objects:
        if why := _orphaned(key, evidence, named, jobs):
            yield Problem("orphan", None, f"{key}: {why}")
    for letter in evidence.letters:
        if letter.job_id not in histories:
            yield Problem("orphan", letter.job_id, f"dead letter {letter.sequence} is of no job")


def _orphaned(key: str, evidence: Evidence, named: set[str], jobs: Mapping[UUID, Job]) -> str | None:
    """Uploads are their senders' until the janitor sweeps. What a job that did not end well left under its own name goes at its expiry."""
    if key.startswith("uploads/") or key in named:
        return None
    if key.startswith("sources/cache/"):
        return None if key in evidence.cached else "the source cache does not name it"
    try:
        job = jobs.get(UUID(key.split("/")[1]))
    except ValueError:
        return "of no job"
    if job is None:
        return "of no job"
    if job.status == "expired":
        return "its job has expired"
    return "its job is done and does not name it" if job.status == "done" and not job.optional_failures else None


def _of_job(evidence: Evidence, rows: list[Row], job: Job) -> Iterator[tuple[Kind, str]]:
    if job.status != "expired":  # of which nothing but that event stays
        yield from _order(rows)
    yield from _answers(rows)
    yield from _end(evidence, rows[0].job_id, job)
    yield from _attempts(evidence, job)
    yield from _letters(evidence, rows, job)
    if job.status == "done":
        yield from _files(evidence, job)


def _order(rows: list[Row]) -> Iterator[tuple[Kind, str]]:
    numbers = [row.seq for row in rows]
    if numbers != list(range(1, len(rows) + 1)):
        yield "lost", f"its events are numbered {numbers}"
    opened = sum(isinstance(row.envelope.event, ClipsRequested) for row in rows)
    if opened != 1:
        yield "duplicate" if opened else "lost", f"it was requested {opened} times"


def _answers(rows: list[Row]) -> Iterator[tuple[Kind, str]]:
    given = Counter((stage, row.envelope.run) for row in rows if (stage := answering_stage(row.envelope.event)))
    for (stage, run), count in given.items():
        if count > 1:
            yield "duplicate", f"{count} answers of {stage} in run {run}"


def _end(evidence: Evidence, job_id: UUID, job: Job) -> Iterator[tuple[Kind, str]]:
    number = number_of(evidence, job_id, job)
    expected = evidence.expected.get(number or 0)
    if not job.is_over:
        yield "stuck", f"it is {job.status} at {job.stage}"
    elif expected is None:
        yield "orphan", "nobody submitted it"
    elif job.status not in expected.statuses:
        why = f": {job.failure.code} {job.failure.message}" if job.failure else ""
        yield "lost", f"a job of kind {expected.kind} ended {job.status} at {job.stage}{why}"
    else:
        yield from _words(expected, job)


def _words(expected: Expected, job: Job) -> Iterator[tuple[Kind, str]]:
    said = {failure.code for failure in job.optional_failures.values()} | ({job.failure.code} if job.failure else set())
    if unexpected := said - expected.codes:
        yield "lost", f"a job of kind {expected.kind} ended {job.status} with {sorted(unexpected)}"
    if job.status == "done" and job.requested and not job.optional_failures:
        unanswered = [stage for stage in stages_of(job.requested) if not any(stage is answered for answered, _ in job.answers)]
        if unanswered:
            yield "lost", f"done without an answer of {unanswered}"


def _attempts(evidence: Evidence, job: Job) -> Iterator[tuple[Kind, str]]:
    for (stage, run), attempts in job.attempts.items():
        if attempts > evidence.max_attempts:
            yield "duplicate", f"{attempts} charged starts of {stage} in run {run}"


def _letters(evidence: Evidence, rows: list[Row], job: Job) -> Iterator[tuple[Kind, str]]:
    """One for each failure that was not put back or discarded. A job that was over before its failure was written may have one more."""
    if job.status == "expired":
        return
    events = [row.envelope.event for row in rows]
    mine = Counter(letter.stage for letter in evidence.letters if letter.job_id == rows[0].job_id)
    for stage in StageName:
        wanted = sum(isinstance(event, Failed) and answering_stage(event) is stage for event in events)
        wanted -= sum(_is_taken_out(event, stage) for event in events)
        found = mine[stage.value]
        spare = job.status == "cancelled" and found == wanted + 1
        if found != wanted and not spare:
            yield "duplicate" if found > wanted else "lost", f"{found} dead letters of {stage} instead of {wanted}"


def _is_taken_out(event: AnyEvent, stage: StageName) -> bool:
    """Replayed or discarded. A raw `nats pub` leaves the letter where it is."""
    return isinstance(event, JobReplayed | LetterDiscarded) and event.stage is stage and event.source.startswith(f"{DLQ}:")


def _files(evidence: Evidence, job: Job) -> Iterator[tuple[Kind, str]]:
    """Sizes are known of videos alone."""
    for key, size in _named(job).items():
        found = evidence.objects.get(key)
        if found is None:
            yield "lost", f"{key} is not there"
        elif (size is None and not found) or (size is not None and found != size):
            yield "lost", f"{key} has {found} bytes instead of {size}"
        if key in evidence.served and evidence.served[key] != found:
            yield "lost", f"{key}: its URL gave {evidence.served[key]} bytes instead of {found}"
    yield from _frames(evidence, job)


def _frames(evidence: Evidence, job: Job) -> Iterator[tuple[Kind, str]]:
    expected = evidence.expected.get(number_of(evidence, job.id, job) or 0) if job.id else None
    for made in filter(None, (job.clip, job.burned)):
        found = evidence.frames.get(made.video_key)
        if expected and expected.frames is not None and found is not None and found != expected.frames:
            yield "lost", f"{made.video_key} has {found} frames instead of {expected.frames}"


def _named(job: Job) -> dict[str, int | None]:
    """What the job's answers of all runs say of their files: sizes by key."""
    named: dict[str, int | None] = {}
    for answer in job.answers.values():
        named |= _named_in(answer.event)
    return named


def _named_in(event: AnyEvent) -> dict[str, int | None]:
    match event:
        case SourceReady():
            return {event.source_key: event.size, **{section.source_key: section.size for section in event.sections}}
        case ClipUploaded():
            beside: dict[str, int | None] = {made.key: made.size for made in event.renditions}
            return beside | {event.video_key: event.size} | ({event.thumbnail_key: None} if event.thumbnail_key else {})
        case ClipBurned():
            return {event.video_key: event.size}
        case AsrDone():
            keys = (event.srt_key, event.vtt_key, event.text_key, event.json_key)
            return {key: None for key in keys if key}
        case _:
            return {}
