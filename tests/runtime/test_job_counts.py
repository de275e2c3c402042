"""What is counted of jobs: each event and each end of a run once, by whoever brought it about."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from libs.common.domain.events import ClipUploaded, Envelope, JobCancelled, SourceReady, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.job import fold
from libs.common.runtime.context import Context
from libs.common.runtime.event_store import Looked, Start, Stored
from libs.common.runtime.job_counts import event_written, run_ended
from tests.builders import envelope, uploaded
from tests.fakes import MemoryEventStore
from tests.runtime.desk import Desk

OUTCOMES = ("done", "failed", "cancelled", "expired")


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def finished() -> dict[str, float]:
    return {outcome: counted("clip_jobs_finished_total", outcome=outcome) for outcome in OUTCOMES}


async def test_a_job_that_is_delivered_again_and_again_is_done_once(tmp_path: Path) -> None:
    before, timed = finished(), counted("clip_job_seconds_count", outcome="done", subtitles="none", priority="normal")
    written = counted("clip_events_total", type="clip.uploaded")
    desk = Desk(tmp_path)
    for _ in range(3):
        await desk.deliver()
    assert finished() == before | {"done": before["done"] + 1}
    assert counted("clip_job_seconds_count", outcome="done", subtitles="none", priority="normal") == timed + 1
    assert counted("clip_events_total", type="clip.uploaded") == written + 1


async def test_what_a_faster_worker_wrote_is_counted_by_that_one(tmp_path: Path) -> None:
    before, written = finished(), counted("clip_events_total", type="clip.uploaded")
    desk = Desk(tmp_path)

    async def overtaken(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        await desk.store.append(envelope(uploaded(size=77), desk.cause.job_id))
        return uploaded(size=1)

    desk.handle = overtaken
    await desk.deliver()
    assert desk.job.status == "done"
    assert finished() == before
    assert counted("clip_events_total", type="clip.uploaded") == written


async def test_a_job_that_was_cancelled_while_the_answer_was_made_is_not_done_too(tmp_path: Path) -> None:
    before = finished()
    desk = Desk(tmp_path)

    async def cancelled(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        await desk.store.append(envelope(JobCancelled(by="client"), desk.cause.job_id))
        return uploaded()

    desk.handle = cancelled
    await desk.deliver()
    assert desk.job.status == "cancelled"
    assert finished() == before


@pytest.mark.parametrize("ours", [True, False])
async def test_an_end_is_counted_by_who_wrote_it(tmp_path: Path, ours: bool) -> None:
    desk, store = Desk(tmp_path), MemoryEventStore()
    store.rows = list(desk.store.rows)
    before, written = finished(), counted("clip_events_total", type="job.cancelled")
    cancellation = envelope(JobCancelled(by="client"), desk.cause.job_id)
    stands, _ = await store.append(cancellation)
    mine = cancellation if ours else envelope(JobCancelled(by="client"), desk.cause.job_id, id=uuid4())
    event_written(mine, stands)
    await run_ended(store, fold(desk.store.rows), mine, stands)
    assert finished() == before | {"cancelled": before["cancelled"] + ours}
    assert counted("clip_events_total", type="job.cancelled") == written + ours


class Away(MemoryEventStore):
    async def history(self, job_id: UUID) -> list[Envelope]:
        raise Failure(Code.RETRYABLE_ERROR, "the database can't be reached", outage="postgres")


async def test_an_end_that_can_not_be_looked_at_is_not_counted_and_stands_all_the_same(tmp_path: Path) -> None:
    before, desk = finished(), Desk(tmp_path)
    cancellation = envelope(JobCancelled(by="client"), desk.cause.job_id)
    await run_ended(Away(), fold(desk.store.rows), cancellation, cancellation)
    assert finished() == before


async def test_a_job_that_nobody_else_touches_is_begun_answered_and_counted_by_two_statements(tmp_path: Path) -> None:
    """The end that comes right behind all that the stage has seen needs no further look; one that another event came before does."""
    before, desk, asked = finished(), Desk(tmp_path), []

    class Noted(MemoryEventStore):
        async def begin(self, start: Start) -> Looked:
            asked.append("begin")
            return await super().begin(start)

        async def append(self, envelope: Envelope, *, expires_at: datetime | None = None) -> Stored:
            asked.append(type_of(envelope.event))
            return await super().append(envelope, expires_at=expires_at)

        async def history(self, job_id: UUID) -> list[Envelope]:
            asked.append("history")
            return await super().history(job_id)

    noted = Noted()
    noted.rows = desk.store.rows
    desk.store, desk.world = noted, replace(desk.world, store=noted)
    await desk.deliver()
    assert desk.job.status == "done"
    its_own = ["history", "stage.started", "history"]  # how the memory does what is one statement of the database
    assert asked == ["begin", *its_own, "clip.uploaded", "history"]
    assert finished() == before | {"done": before["done"] + 1}
