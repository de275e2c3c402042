"""What the server tells an operator: keys, dead letters, the numbers of the whole. Pure; as in models.py."""

from datetime import datetime
from typing import Any

import msgspec

from clipstream.models import Model


class Key(Model, frozen=True, kw_only=True):
    """What is known of an API key; the key itself is shown once, when it is made."""

    id: str
    name: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    rate_limit: int | None = None
    max_active_jobs: int | None = None


class NewKey(Model, frozen=True, kw_only=True):
    """`api_key` is the key itself. Keep it: it is never shown again, and not in this object's repr either."""

    api_key: str
    key: Key

    def __repr__(self) -> str:
        return f"NewKey(key={self.key!r})"


class DeadLetter(Model, frozen=True, kw_only=True):
    """A message that failed for good: why, when, and whether it can run again."""

    seq: int
    at: datetime
    job_id: str | None = None
    job: str
    """The job's status now."""
    stage: str
    code: str
    message: str
    attempts: int
    subject: str
    priority: str | None = None
    correlation_id: str | None = None
    trace: str | None = None
    replayable: bool
    why_not: str | None = None


class OpenedLetter(Model, frozen=True, kw_only=True):
    """A dead letter with all that came with it; `body_size` in bytes, of a body that may have been cut."""

    letter: DeadLetter
    headers: dict[str, str]
    body: Any = None
    body_size: int


class Replayed(Model, frozen=True, kw_only=True):
    seq: int
    job_id: str
    stage: str
    run: int


class NotReplayed(Model, frozen=True, kw_only=True):
    """The letter was kept, for this reason."""

    seq: int
    reason: str


class Replays(Model, frozen=True, kw_only=True):
    replayed: tuple[Replayed, ...] = ()
    refused: tuple[NotReplayed, ...] = ()


class Discarded(Model, frozen=True, kw_only=True):
    seq: int
    job_id: str | None = None
    in_history: bool = False


class Queue(Model, frozen=True, kw_only=True):
    """What waits for one stage in one lane, and what is being worked on."""

    stage: str
    lane: str
    pending: int
    ack_pending: int
    oldest_seconds: float | None = None


class JobCounts(Model, frozen=True, kw_only=True):
    by_status: dict[str, int] = msgspec.field(default_factory=dict)
    by_stage: dict[str, int] = msgspec.field(default_factory=dict)


class FailureCount(Model, frozen=True, kw_only=True):
    code: str
    count: int
    hint: str = ""


class Overview(Model, frozen=True, kw_only=True):
    """How the whole stands; `failures` of the last 24 hours. `unknown` names what is None because nobody could be asked."""

    queues: tuple[Queue, ...] | None = None
    jobs: JobCounts | None = None
    failures: tuple[FailureCount, ...] | None = None
    dead_letters: int | None = None
    unknown: tuple[str, ...] = ()
    measured_at: datetime | None = None
