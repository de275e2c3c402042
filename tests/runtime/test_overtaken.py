"""An attempt whose work is no longer wanted: cancelled, answered by a faster worker, or in another's hands after a silence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from libs.common.domain.events import AnyEvent, ClipUploaded, JobCancelled, JobExpired, SourceReady, StageRetried
from libs.common.domain.failures import Code, Failure
from libs.common.runtime import liveness
from libs.common.runtime.context import Context
from libs.common.runtime.liveness import Overtaken, while_wanted
from tests.builders import envelope, retried, started, uploaded
from tests.fakes import NOW, MemoryDelivery
from tests.runtime.desk import CLIPPER, Desk


class Endless:
    """A handler that works until it is stopped."""

    def __init__(self) -> None:
        self.working, self.stopped = asyncio.Event(), asyncio.Event()

    async def __call__(self, _event: SourceReady, ctx: Context[Any, Any]) -> ClipUploaded:
        self.working.set()
        try:
            while True:
                await asyncio.sleep(0.001)
                await ctx.progress(0.5)
        finally:
            self.stopped.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(liveness, "PROGRESS_EVERY", 0.0)


@asynccontextmanager
async def at_work(desk: Desk, delivery: MemoryDelivery) -> AsyncIterator[None]:
    """The stage works on the delivery while inside; it must come to an end by itself afterwards."""
    handler = Endless()
    desk.handle = handler
    work = asyncio.create_task(desk.deliver(delivery))
    await handler.working.wait()
    yield
    async with asyncio.timeout(40):
        await work
    assert handler.stopped.is_set()


async def learn(desk: Desk, event: AnyEvent) -> None:
    await desk.store.append(envelope(event, desk.cause.job_id))


async def test_work_on_a_cancelled_job_is_stopped_and_its_message_acked(tmp_path: Path) -> None:
    desk, delivery = Desk(tmp_path), None
    delivery = MemoryDelivery.of(desk.cause)
    async with at_work(desk, delivery):
        await learn(desk, JobCancelled(by="client"))
    assert delivery.did == ["ack"]
    assert desk.job.status == "cancelled"
    assert list(tmp_path.iterdir()) == []


async def test_work_that_a_faster_worker_answered_is_stopped_and_that_answer_goes_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, subtitles=True)
    delivery = MemoryDelivery.of(desk.cause)
    async with at_work(desk, delivery):
        await learn(desk, uploaded(size=77))
    assert delivery.did == ["ack"]
    assert [e.event.size for e in desk.bus.published] == [77]  # type: ignore[union-attr]


async def test_a_zombie_leaves_the_message_to_the_worker_that_was_given_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ack would end the message of the other, who may yet need it; and it writes nothing."""
    monkeypatch.setattr(liveness.Hold, "is_sure", False)
    desk = Desk(tmp_path)
    delivery = MemoryDelivery.of(desk.cause)
    async with at_work(desk, delivery):
        await learn(desk, started(CLIPPER, 2))
        rows = len(desk.store.rows)
    assert delivery.did == []
    assert desk.store.rows[rows:] == []


async def test_a_worker_that_could_not_be_heard_is_not_charged_for_it(tmp_path: Path) -> None:
    """NATS was away, and gave the message to another when it came back: this start is a hand-back."""
    desk = Desk(tmp_path, patience=0.03)
    delivery = Unheard.of(desk.cause)
    async with at_work(desk, delivery):
        await delivery.unheard.wait()
        await learn(desk, started(CLIPPER, 2))
    assert delivery.did == []
    [retried] = [row.event for row in desk.store.rows if isinstance(row.event, StageRetried)]
    assert (retried.attempt, retried.charged) == (1, False)
    assert desk.job.at_work[CLIPPER].event.attempt == 2
    assert desk.job.attempts_of(CLIPPER, 1) == 1


class Unheard(MemoryDelivery):
    """Its signs of life reach nobody."""

    @property
    def unheard(self) -> asyncio.Event:
        return self.__dict__.setdefault("event", asyncio.Event())

    async def in_progress(self) -> None:
        self.unheard.set()
        raise Failure(Code.RETRYABLE_ERROR, "away", outage="nats")


async def test_what_a_worker_added_to_an_expired_job_goes_with_it(tmp_path: Path) -> None:
    desk, removed = Desk(tmp_path), []

    class Objects:
        async def remove_job(self, job_id: object) -> None:
            removed.append(job_id)

    object.__setattr__(desk.world, "objects", Objects())
    delivery = MemoryDelivery.of(desk.cause)
    async with at_work(desk, delivery):
        await learn(desk, JobExpired())
    assert (delivery.did, removed) == (["ack"], [desk.cause.job_id])


async def test_work_goes_on_while_nobody_can_say_whether_it_is_wanted(tmp_path: Path) -> None:
    desk, looks = Desk(tmp_path), 0
    history = desk.store.history
    delivery = MemoryDelivery.of(desk.cause)
    seen = asyncio.Event()

    async def away(job_id: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks < 4:
            raise Failure(Code.RETRYABLE_ERROR, "away", outage="postgres")
        seen.set()
        return await history(job_id)

    async with at_work(desk, delivery):
        desk.store.history = away  # type: ignore[method-assign]
        await seen.wait()
        await learn(desk, JobCancelled(by="client"))
    assert delivery.did == ["ack"]


Wanted = Callable[[], Awaitable[bool]]


async def test_the_time_limit_and_the_end_of_the_wish_are_told_apart() -> None:
    async def wanted() -> bool:
        return True

    async def unwanted() -> bool:
        return False

    async def forever(wish: Wanted, limit: float) -> None:
        async with while_wanted(wish, limit):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await forever(wanted, 0.05)
    with pytest.raises(Overtaken):
        await forever(unwanted, 60)


async def test_a_suspect_has_its_process_to_itself(tmp_path: Path) -> None:
    """Its worker died at it once: while it works nothing else does, and it waits for what works."""
    desk = Desk(tmp_path)
    await learn(desk, started(CLIPPER, 1))
    alone: list[bool] = []

    async def cut(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        entering = asyncio.create_task(desk.world.quarantine.entered(alone=False).__aenter__())
        await asyncio.sleep(0)
        alone.append(not entering.done())
        entering.cancel()
        return uploaded()

    desk.handle = cut
    async with desk.world.quarantine.entered(alone=False):
        work = asyncio.create_task(desk.deliver())
        for _ in range(50):
            await asyncio.sleep(0)
        assert desk.calls == 0
    await work
    assert alone == [True]
    assert desk.job.status == "done"


async def test_a_second_message_for_work_that_is_under_way_waits_and_harms_nothing(tmp_path: Path) -> None:
    """Also while the last attempt that the job has is the one under way."""
    desk, handler = Desk(tmp_path), Endless()
    for attempt in (1, 2):
        for event in (started(CLIPPER, attempt), retried(CLIPPER, attempt)):
            await learn(desk, event)
    desk.handle = handler
    first = asyncio.create_task(desk.deliver(MemoryDelivery.of(desk.cause)))
    await handler.working.wait()
    twin = await desk.deliver(MemoryDelivery.of(desk.cause, sequence=2))
    assert (twin.did, twin.delay) == (["nak"], 30)
    assert desk.job.status == "processing"
    await learn(desk, uploaded())
    await first
    assert (desk.job.status, desk.calls) == ("done", 1)


async def test_a_second_message_takes_over_when_the_first_stays_away(tmp_path: Path) -> None:
    """The first was lost together with its worker: that is certain when no attempt may take so long."""
    desk = Desk(tmp_path)
    await learn(desk, started(CLIPPER, 1))
    twins = [await desk.deliver(MemoryDelivery(**vars_of(desk, deliveries=n))) for n in (1, 2, 3, 4, 9)]
    assert [(twin.did, twin.delay) for twin in twins] == [(["nak"], delay) for delay in (30, 30, 30, 630, 630)]
    assert desk.calls == 0
    object.__setattr__(desk.world, "now", lambda: NOW + timedelta(seconds=630))
    assert (await desk.deliver(MemoryDelivery(**vars_of(desk, deliveries=10)))).did == ["ack"]
    assert desk.job.status == "done"


async def test_what_comes_while_a_suspect_works_goes_back_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with desk.world.quarantine.entered(alone=True):
        delivery = await desk.deliver()
    assert (delivery.did, delivery.delay, desk.types) == (["nak"], 0, [])
    assert (await desk.deliver()).did == ["ack"]


def vars_of(desk: Desk, deliveries: int) -> dict[str, Any]:
    twin = MemoryDelivery.of(desk.cause, sequence=2)
    return {"body": twin.body, "headers": twin.headers, "sequence": 2, "deliveries": deliveries}
