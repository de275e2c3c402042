"""What an operator reads of the whole system at a glance, and how it is counted. Pure. What is not known is absent."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, UnsetType

from libs.common.domain.events import Priority, StageName
from libs.common.domain.failures import HINTS, Code
from services.api.views import Status, View

Part = Literal["queues", "jobs", "failures", "deadLetters"]
Rows = Iterable[Mapping[str, Any]]


class QueueView(View, frozen=True, kw_only=True):
    stage: StageName
    lane: Priority
    pending: Annotated[int, Meta(description="Messages that nobody has taken yet.")]
    ack_pending: Annotated[int, Meta(description="Messages in hand, or waiting for another try.")]
    oldest_seconds: Annotated[float, Meta(ge=0, description="Age of the oldest of both; 0 when there is none.")]


class JobCounts(View, frozen=True, kw_only=True):
    by_status: Annotated[
        dict[Status, int], Meta(description="queued and processing: now; done, failed and cancelled: ended in the last 24 hours.")
    ]
    by_stage: Annotated[dict[StageName, int], Meta(description="Jobs that are processing, by the stage where they are.")]


class FailureCount(View, frozen=True, kw_only=True):
    code: str
    count: int
    hint: Annotated[str, Meta(description="What the client was told to do about it.")]


class OverviewAnswer(View, frozen=True, kw_only=True):
    correlation_id: str
    queues: Annotated[list[QueueView] | UnsetType, Meta(description="Every stage's lanes, the empty ones too.")] = UNSET
    jobs: JobCounts | UnsetType = UNSET
    failures: Annotated[
        list[FailureCount] | UnsetType,
        Meta(description="Why jobs failed or lost their subtitles in the last 24 hours; the most frequent first."),
    ] = UNSET
    dead_letters: Annotated[int | UnsetType, Meta(description="Letters that wait for an operator.")] = UNSET
    unknown: Annotated[tuple[Part, ...], Meta(description="What is absent because nobody could be asked; all else is true.")]
    measured_at: datetime


def job_counts(active: Rows, ended: Rows) -> JobCounts:
    """Of rows (status, stage, jobs) and (status, jobs). What there is none of counts 0."""
    by_status, by_stage = dict.fromkeys(get_args(Status), 0), dict.fromkeys(StageName, 0)
    for row in (*active, *ended):
        by_status[row["status"]] += row["jobs"]
    for row in active:
        if row["status"] == "processing" and row["stage"]:
            by_stage[StageName(row["stage"])] += row["jobs"]
    return JobCounts(by_status=by_status, by_stage=by_stage)


def failure_counts(ended: Rows) -> list[FailureCount]:
    """Of rows (error_code, jobs). A code that a newer version wrote is told as internal ones are."""
    counts: dict[str, int] = {}
    for row in ended:
        if code := row["error_code"]:
            counts[code] = counts.get(code, 0) + row["jobs"]
    ordered = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    return [FailureCount(code=code, count=count, hint=_hint(code)) for code, count in ordered]


def _hint(code: str) -> str:
    return HINTS[Code(code) if code in Code.__members__ else Code.INTERNAL]
