"""What goes on for ever: steps are begun again whatever ends them, and after an outage not before what was away answers."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from libs.common.domain.failures import Code, Failure
from libs.common.runtime import background
from libs.common.runtime.background import Pause, both, every, for_ever, running
from tests.fakes import Switch, healthy

GONE = Failure(Code.RETRYABLE_ERROR, "gone", outage="nats")


class Steps:
    """Each raises the next of these, the one behind them ends the test."""

    def __init__(self, *ends: Exception | None) -> None:
        self.count = 0
        self.done = asyncio.Event()
        self._ends: Iterator[Exception | None] = iter(ends)

    async def __call__(self) -> None:
        self.count += 1
        try:
            end = next(self._ends)
        except StopIteration:
            self.done.set()
            return
        if end:
            raise end


@asynccontextmanager
async def stepping(steps: Steps, pause: Pause) -> AsyncIterator[None]:
    async with running(for_ever("steps", steps, pause)):
        yield


async def until_done(steps: Steps) -> None:
    async with asyncio.timeout(20):
        await steps.done.wait()


async def test_a_pause_is_told_what_ended_the_step_before_it() -> None:
    told: list[Exception | None] = []
    bug = ValueError("a bug")

    async def pause(broke: Exception | None) -> None:
        told.append(broke)
        await asyncio.sleep(0)

    steps = Steps(GONE, None, bug)
    async with stepping(steps, pause):
        await until_done(steps)
    assert told[:3] == [GONE, None, bug]


async def test_what_breaks_is_logged_by_its_task_and_a_failure_in_one_line() -> None:
    steps = Steps(GONE, ValueError("a bug"))
    with capture_logs() as logs:
        async with stepping(steps, every(0)):
            await until_done(steps)
    assert [(line["log_level"], line["task"], line.get("error"), "exc_info" in line) for line in logs] == [
        ("warning", "steps", "gone", False),
        ("error", "steps", None, True),
    ]


async def test_a_step_that_went_well_comes_again_no_sooner_than_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(background, "asyncio", SimpleNamespace(sleep=sleep))
    health = healthy(nats=Switch(lambda: GONE).ping)
    await every(3600)(None)
    await every(3600)(GONE)
    await every(3600, health)(None)
    await every(3600, health)(GONE)
    await every(0.5, health)(GONE)
    assert slept == [3600, 3600, 3600, 2.0, 0.5]


@pytest.mark.parametrize("broke", [GONE, ValueError("a bug")], ids=["failure", "bug"])
async def test_a_step_broken_off_by_an_outage_comes_again_when_the_dependency_answers(broke: Exception) -> None:
    nats, steps = Switch(lambda: GONE), Steps(broke)
    nats.is_on = False
    async with stepping(steps, every(0.01, healthy(nats=nats.ping))):
        async with asyncio.timeout(20):
            await nats.asked.wait()
        assert steps.count == 1
        nats.is_on = True
        await until_done(steps)
        assert steps.count == 2


async def test_a_failure_for_which_nothing_that_is_watched_was_away_waits_for_nothing() -> None:
    nats = Switch(lambda: GONE)
    nats.is_on = False
    steps = Steps(Failure(Code.RETRYABLE_ERROR, "gone", outage="s3"), Failure(Code.INTERNAL, "refused"))
    async with stepping(steps, every(0, healthy(nats=nats.ping))):
        await until_done(steps)
    assert not nats.asked.is_set()


async def test_tasks_run_while_inside_and_are_over_behind_it_whatever_ended_it() -> None:
    begun, over = asyncio.Event(), False

    async def task() -> None:
        nonlocal over
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            over = True

    async def broken() -> None:
        raise ValueError("a task's own end ends nothing else")

    with pytest.raises(KeyError):
        async with asyncio.timeout(20), running(task(), broken()):
            await begun.wait()
            assert not over
            raise KeyError
    assert over


async def test_a_task_that_did_not_hear_its_end_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio.wait_for of Python 3.11 loses a cancel that comes in the same moment as what it waits for; nats-py asks by it."""
    monkeypatch.setattr(background, "TOLD_AGAIN", 0.01)
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asking, heard = asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        asking.set()
        await asyncio.wait_for(answer, 60)
        heard.set()
        await asyncio.wait_for(asyncio.Event().wait(), 60)

    async with asyncio.timeout(20), running(for_ever("asking", ask, every(60))):
        await asking.wait()
        await asyncio.sleep(0)  # until it waits
        answer.set_result(None)
    assert heard.is_set() or sys.version_info >= (3, 12)


async def test_a_task_has_time_to_end_before_it_is_told_again() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    async with running(work()):
        await begun.wait()
    assert ended.is_set()


async def test_two_are_at_work_beside_each_other() -> None:
    one_began, other_began = asyncio.Event(), asyncio.Event()

    async def one() -> int:
        one_began.set()
        await other_began.wait()
        return 1

    async def other() -> str:
        other_began.set()
        await one_began.wait()
        return "2"

    async with asyncio.timeout(20):
        assert await both(one(), other()) == (1, "2")


async def test_where_one_of_two_breaks_the_other_is_over_before_it_is_told() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def breaks() -> None:
        await begun.wait()
        raise Failure(Code.NOT_FOUND, "broken")

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async with asyncio.timeout(20):
        with pytest.raises(Failure, match="broken"):
            await both(work(), breaks())
    assert ended.is_set()


async def test_who_waits_for_two_and_is_cancelled_leaves_none_behind() -> None:
    begun, ended = asyncio.Event(), list[int]()

    async def work(number: int) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    waiting = asyncio.create_task(both(work(1), work(2)))
    async with asyncio.timeout(20):
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert sorted(ended) == [1, 2]
