"""What each worker says of itself every two seconds on core NATS, `clipstream.workers.<stage>`: `nats sub 'clipstream.workers.>'`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from libs.common.domain.events import StageName

SUBJECT = "clipstream.workers"
EVERY = 2.0
"""Seconds between two reports of one worker."""
SILENT_AFTER = 3.5 * EVERY
"""Seconds after which a worker that says nothing counts as gone."""

Amount = Annotated[int, Meta(ge=0)]


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One process's word on one of its stages. `full`: its scratch folder is, so it takes no more work. Sizes in MiB."""

    worker: Annotated[str, Meta(max_length=300)]
    in_hand: Amount
    places: Amount
    scratch_free_mb: Amount
    scratch_used_mb: Amount
    full: bool


def subject_of(stage: StageName) -> str:
    return f"{SUBJECT}.{stage}"


def stage_of(subject: str) -> StageName | None:
    """None for a stage of a newer version."""
    name = subject.removeprefix(f"{SUBJECT}.")
    return StageName(name) if name in set(StageName) else None


def report_of(body: bytes) -> WorkerReport | None:
    """None for what is no report."""
    try:
        return msgspec.json.decode(body, type=WorkerReport)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
