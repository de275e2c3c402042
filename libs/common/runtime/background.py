"""What goes on beside a process's own work for as long as it lives: steps that are begun again for ever, whatever ends them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from libs.common.domain.failures import Failure
from libs.common.runtime.health import Health
from libs.common.runtime.logs import logger

log = logger(__name__)
A = TypeVar("A")
B = TypeVar("B")
Step = Callable[[], Awaitable[object]]
Pause = Callable[[Exception | None], Awaitable[object]]
"""Returns when the next step is to begin; it is given what the last one raised."""
RECOVERY = 2.0
"""Seconds from an outage's end to the next step, at most: the others go on by themselves before we look at what they lost."""
TOLD_AGAIN = 5.0
"""Seconds that a cancelled task has for its end before it is cancelled again."""


async def for_ever(name: str, step: Step, pause: Pause) -> NoReturn:
    """Step, pause, step … until cancelled. What a step raises is logged with its name, a Failure in one line."""
    while True:
        await pause(await _broke(name, step))


async def _broke(name: str, step: Step) -> Exception | None:
    try:
        await step()
    except Failure as failure:
        log.warning("task broken off; it comes again", task=name, error=failure.message)
        return failure
    except Exception as error:
        log.exception("task broke; it begins again", task=name)
        return error
    return None


def every(seconds: float, health: Health | None = None) -> Pause:
    """So long between two steps. With `health`, what broke is begun again soon after all that it may have missed answers."""

    async def pause(broke: Exception | None) -> None:
        if broke is None or health is None:
            await asyncio.sleep(seconds)
            return
        await _recovered(broke, health)
        await asyncio.sleep(min(seconds, RECOVERY))

    return pause


async def _recovered(broke: Exception, health: Health) -> None:
    if not isinstance(broke, Failure):
        await health.until_up()
    elif broke.outage:
        await health.until_answers(broke.outage)


async def both(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Beside each other. What the first to break raises is raised, when neither is at work any more."""
    tasks = asyncio.create_task(one), asyncio.create_task(other)
    try:
        first, second = await asyncio.gather(*tasks)
    except BaseException:
        await _ended(tasks)
        raise
    return first, second


@asynccontextmanager
async def running(*tasks: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """All at work while inside, cancelled and over behind it."""
    begun = [asyncio.create_task(task) for task in tasks]
    try:
        yield
    finally:
        await _ended(begun)
        await asyncio.gather(*begun, return_exceptions=True)


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """A library may lose a cancel: asyncio.wait_for of Python 3.11 does, where what it waits for comes in the same moment."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=TOLD_AGAIN)
