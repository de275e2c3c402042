"""The end of a job's run as the operator counts it: how it ended, and how long the run took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from libs.common.domain.events import Envelope, Priority
from libs.common.domain.job import Job, apply, fold


@dataclass(frozen=True, slots=True)
class RunEnd:
    """`seconds` from the run's own beginning: its request, or the replay or the edit that let the job run again."""

    outcome: str
    seconds: float
    subtitles: Literal["none", "asked"]
    priority: Priority = Priority.NORMAL


def run_end(history: Sequence[Envelope], last: Envelope) -> RunEnd | None:
    """The end that `last` made of a run; None where the job was over before it, goes on after it, or is forgotten by now."""
    return run_end_after(fold(history[: next((place for place, one in enumerate(history) if one.id == last.id), 0)]), last)


def run_end_after(before: Job, last: Envelope) -> RunEnd | None:
    """The same, of the job as it was right before `last`."""
    after = apply(before, last)
    if before.is_over or not after.is_over or before.requested is None or before.run_began is None:
        return None
    subtitles: Literal["none", "asked"] = "asked" if before.requested.with_subtitles else "none"
    return RunEnd(after.status, max(0.0, (last.at - before.run_began).total_seconds()), subtitles, before.priority)
