"""The stage runner: what becomes of a message, told by its settlements, the events, and what travelled on.

The world is in memory here; tests/e2e and tests/runtime/test_pull.py run the same code on the real servers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.domain.events import (
    AsrFailed,
    ClipUploaded,
    Envelope,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobReplayed,
    SourceReady,
    StageName,
    StageStarted,
)
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from tests.builders import envelope, history, ready, requested, retried, started, uploaded
from tests.fakes import MemoryDelivery
from tests.runtime.desk import CLIPPER, Desk, failing


async def test_an_answer_is_written_published_and_acked(tmp_path: Path) -> None:
    desk = Desk(tmp_path, subtitles=True)
    delivery = await desk.deliver()
    assert delivery.did == ["ack"]
    assert desk.types == ["stage.started", "clip.uploaded"]
    assert desk.bus.published == [desk.store.rows[-1]]
    assert desk.job.status == "processing"


async def test_an_answer_that_no_stage_waits_for_is_written_and_acked(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for _ in range(2):
        assert (await desk.deliver()).did == ["ack"]
    assert desk.types == ["stage.started", "clip.uploaded"]
    assert desk.bus.published == []
    assert desk.job.status == "done"


async def test_a_redelivered_event_is_answered_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, subtitles=True)
    for _ in range(3):
        assert (await desk.deliver()).did == ["ack"]
    assert desk.calls == 1
    assert desk.types == ["stage.started", "clip.uploaded"]
    assert [e.id for e in desk.bus.published] == [desk.store.rows[-1].id] * 3


async def test_a_zombie_that_answers_late_publishes_the_answer_that_stands(tmp_path: Path) -> None:
    desk = Desk(tmp_path, subtitles=True)

    async def overtaken(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        await desk.store.append(envelope(uploaded(size=77), desk.cause.job_id))
        return uploaded(size=1)

    desk.handle = overtaken
    await desk.deliver()
    assert [e.event.size for e in desk.bus.published] == [77]  # type: ignore[union-attr]


async def test_a_cancelled_job_is_not_worked_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.store.rows.append(envelope(JobCancelled(by="me"), desk.cause.job_id))
    assert (await desk.deliver()).did == ["ack"]
    assert desk.calls == 0


async def test_a_passing_failure_is_noted_and_tried_later(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.RETRYABLE_ERROR, "away")))
    first = await desk.deliver()
    assert (first.did, first.delay) == (["nak"], 0.5)
    assert (await desk.deliver()).did == ["ack"]
    assert desk.types == ["stage.started", "stage.retried", "stage.started", "clip.uploaded"]


async def test_attempts_are_spent_after_three(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(*[Failure(Code.RETRYABLE_ERROR, "away")] * 9))
    did = [(await desk.deliver()).did for _ in range(3)]
    assert did == [["nak"], ["nak"], ["term"]]
    [(body, stage, failure, attempts)] = desk.bus.buried
    assert (body, stage, failure.code, attempts) == (MemoryDelivery.of(desk.cause).body, CLIPPER, Code.RETRIES_EXHAUSTED, 3)
    assert desk.job.status == "failed"


async def test_a_message_that_kills_its_worker_every_time_ends(tmp_path: Path) -> None:
    """Three starts without an end: the fourth delivery gives up before the handler is called."""
    desk = Desk(tmp_path)
    desk.store.rows += [envelope(started(CLIPPER, n), desk.cause.job_id) for n in (1, 2, 3)]
    assert (await desk.deliver()).did == ["term"]
    assert desk.calls == 0
    assert desk.job.failure.code == Code.RETRIES_EXHAUSTED


async def test_a_hand_back_spends_no_attempt(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for _ in range(9):
        desk.store.rows += [envelope(e, desk.cause.job_id) for e in (started(CLIPPER), retried(CLIPPER, charged=False))]
    assert (await desk.deliver()).did == ["ack"]


async def test_a_fatal_failure_is_buried_before_it_is_recorded(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.SOURCE_UNREADABLE, "no video", hint="Send video.")))
    order: list[str] = []
    desk.bus.bury = noting(order, "bury", desk.bus.bury)  # type: ignore[method-assign]
    desk.store.append = noting(order, "append", desk.store.append)  # type: ignore[method-assign]
    delivery = await desk.deliver()
    assert order == ["append", "bury", "append"]
    assert delivery.did == ["term"]
    assert desk.store.rows[-1].event == JobFailed(stage=CLIPPER, code="SOURCE_UNREADABLE", message="no video", hint="Send video.")


def noting(order: list[str], name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def noted(*args: Any, **kwargs: Any) -> Any:
        order.append(name)
        return await call(*args, **kwargs)

    return noted


async def test_a_crash_between_the_failure_and_its_term_buries_nothing_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.SOURCE_UNREADABLE, "no video")))
    await desk.deliver()
    assert (await desk.deliver()).did == ["ack"]
    assert len(desk.bus.buried) == 1


async def test_an_optional_stage_that_gives_up_does_not_fail_the_job(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.SOURCE_UNREADABLE, "no")), name=StageName.ASR, optional=AsrFailed)
    desk.store.rows[:] = history(requested(with_subtitles=True), ready(), uploaded(), job_id=desk.cause.job_id)
    desk.events = desk.store.rows[1:]
    assert (await desk.deliver()).did == ["term"]
    assert (desk.job.status, len(desk.job.warnings)) == ("done", 1)


@pytest.mark.parametrize("body", [b"", b"not json", b'{"event":{}}', b"\x00" * 100])
async def test_an_unreadable_message_is_dead_lettered_at_once(tmp_path: Path, body: bytes) -> None:
    desk = Desk(tmp_path)
    delivery = await desk.deliver(MemoryDelivery(body))
    assert delivery.did == ["term"]
    assert desk.bus.buried[0][0] == body
    assert desk.types == []


async def test_a_message_of_a_job_that_nobody_knows_is_kept_in_the_dead_letters(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    delivery = await desk.deliver(MemoryDelivery.of(envelope(ready())))
    assert delivery.did == ["term"]
    assert desk.bus.buried[0][2].code is Code.NOT_FOUND


async def test_a_late_message_of_a_forgotten_job_is_no_dead_letter(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.store.rows[:] = [envelope(JobExpired(), desk.cause.job_id)]
    assert (await desk.deliver()).did == ["ack"]
    assert desk.bus.buried == []


async def test_an_unexpected_error_keeps_its_details_out_of_the_history(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(ValueError("password=hunter2")))
    assert (await desk.deliver()).did == ["nak"]
    assert "hunter2" not in str(desk.store.rows)


async def test_our_own_plumbing_breaking_leaves_the_message_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, subtitles=True)

    async def broken(_envelope: Envelope) -> None:
        raise RuntimeError("no")

    desk.bus.publish = broken  # type: ignore[method-assign]
    assert (await desk.deliver()).did == []
    assert desk.job.answer_to(CLIPPER, 1) is not None


async def test_a_stopped_worker_hands_its_message_back_uncharged(tmp_path: Path) -> None:
    working = asyncio.Event()

    async def endless(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        working.set()
        await asyncio.Event().wait()
        return uploaded()

    desk = Desk(tmp_path, endless)
    delivery = MemoryDelivery.of(desk.cause)
    work = asyncio.create_task(desk.deliver(delivery))
    await working.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (delivery.did, delivery.delay) == (["nak"], 0)
    assert desk.job.attempts_of(CLIPPER, 1) == 0
    assert list(tmp_path.iterdir()) == []


async def test_the_scratch_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    seen: list[Path] = []

    async def messy(_event: SourceReady, ctx: Context[Any, Any]) -> ClipUploaded:
        (ctx.scratch / "file").write_bytes(b"x")
        seen.append(ctx.scratch)
        return uploaded()

    await Desk(tmp_path, messy).deliver()
    assert seen[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []


async def test_a_body_published_by_hand_runs_a_failed_job_again_and_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.SOURCE_UNREADABLE, "no video")))
    await desk.deliver()
    by_hand = MemoryDelivery.of(desk.cause, by_hand=True, sequence=9)
    assert (await desk.deliver(by_hand)).did == ["ack"]
    assert (desk.job.status, desk.job.run) == ("done", 2)
    assert [row.event for row in desk.store.rows if isinstance(row.event, JobReplayed)] == [
        JobReplayed(stage=CLIPPER, by="nats pub", source="CLIPS:9")
    ]
    again = await desk.deliver(MemoryDelivery.of(desk.cause, by_hand=True, sequence=9))
    assert (again.did, desk.calls, desk.job.run) == (["ack"], 2, 2)


async def test_a_body_published_by_hand_for_a_job_that_is_fine_repeats_its_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.deliver()
    assert (await desk.deliver(MemoryDelivery.of(desk.cause, by_hand=True, sequence=9))).did == ["ack"]
    assert (desk.calls, desk.job.run) == (1, 1)


async def test_a_message_of_an_older_run_is_left_behind(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(Failure(Code.SOURCE_UNREADABLE, "no video")))
    await desk.deliver()
    await desk.deliver(MemoryDelivery.of(desk.cause, by_hand=True, sequence=9))
    late = msgspec.structs.replace(desk.cause, run=1)
    assert (await desk.deliver(MemoryDelivery.of(late))).did == ["ack"]
    assert desk.calls == 2


async def test_a_start_is_an_event_with_attempt_and_worker(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.deliver()
    start = desk.store.rows[2].event
    assert isinstance(start, StageStarted)
    assert (start.attempt, start.worker) == (1, desk.world.settings.worker)
