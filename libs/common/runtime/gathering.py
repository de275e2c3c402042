"""Questions of many tasks as one: those that come while others are asked wait for each other, and go together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from libs.common.domain.failures import Failure

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """`ask` answers many questions at once, in their order. Nothing waits on a timer: where a way is free, a question goes alone."""

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, ways: int, most: int) -> None:
        """`ways`: how many may be asked beside each other. `most`: how many questions go together."""
        self._ask = ask
        self._free = ways
        self._most = most
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._asking: set[asyncio.Task[None]] = set()

    async def __call__(self, question: Q) -> A:
        """What `ask` raises for this question alone is raised here. Who is cancelled may have been heard all the same."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._free:
            self._free -= 1
            task = asyncio.create_task(self._work(), context=Context())  # in nobody's trace, nobody's lines
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                many = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                if wanted := [one for one in many if not one[1].done()]:
                    await self._answer(wanted)
        finally:
            self._free += 1

    async def _answer(self, many: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in many])
        except Exception as error:  # noqa: BLE001  it is theirs who asked
            await self._refused(many, error)
        else:
            for (_, waits), answer in zip(many, answers, strict=True):
                if not waits.done():
                    waits.set_result(answer)

    async def _refused(self, many: Sequence[tuple[Q, asyncio.Future[A]]], error: Exception) -> None:
        """An outage is everybody's; anything else may be one question's fault, which must not cost the others their answers."""
        if len(many) > 1 and not (isinstance(error, Failure) and error.outage):
            for one in many:
                await self._answer([one])
            return
        for _, waits in many:
            if not waits.done():
                waits.set_exception(error)
