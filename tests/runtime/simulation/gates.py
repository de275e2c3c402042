"""Who acts in the simulation, and the gates at which each waits before every effect on the world outside its process.

A gate's effect takes place when the machine opens it, all at once; the actor goes on with the answer, an error, or not at all.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Literal
from uuid import UUID

from libs.common.domain.job import Job

Dependency = Literal["postgres", "nats", "s3"]


class Killed(BaseException):
    """kill -9: nothing of the process goes on, and what its `finally` blocks try is refused."""


class Passage(Enum):
    GO = auto()
    REFUSED = auto()
    """The dependency could not be reached: no effect."""
    LOST = auto()
    """The effect took place; its answer was lost."""


@dataclass(eq=False)
class Gate:
    label: str
    dependency: Dependency | None
    effect: Callable[[], Any]
    away: Callable[[], Exception]
    """The error of an outage, as the library in question raises it."""
    answer: asyncio.Future[Any]

    def open(self, passage: Passage) -> None:
        if self.answer.done():
            return
        if passage is Passage.REFUSED:
            return self.answer.set_exception(self.away())
        if passage is Passage.LOST and self.label == "nak":  # nobody answers a nak: when it is lost, nobody knows
            return self.answer.set_result(None)
        try:
            result = self.effect()
        except Exception as error:  # noqa: BLE001  whatever it is, it is the caller's
            return self.answer.set_exception(error)
        self.answer.set_exception(self.away()) if passage is Passage.LOST else self.answer.set_result(result)

    def effect_only(self) -> None:
        """It took place, and nobody will hear of it."""
        if not self.answer.done():
            with suppress(Exception):
                self.effect()

    def refuse_for_good(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(Killed())


@dataclass(eq=False)
class Process:
    """What dies together, and is stopped together."""

    name: str
    is_dead: bool = False
    is_frozen: bool = False
    is_stopping: bool = False
    world: Any = None
    actors: list["Actor"] = field(default_factory=list)


@dataclass(eq=False)
class Actor:
    """One piece of work in a process: a delivery, a request to the API, or a sweep of the janitor."""

    name: str
    process: Process
    task: asyncio.Task[Any] | None = None
    gates: list[Gate] = field(default_factory=list)
    message: Any = None
    """What a worker was given."""
    seen: dict[UUID, Job] = field(default_factory=dict)
    """Jobs as they were when it last looked."""
    buried: set[Any] = field(default_factory=set)
    put_back: set[Any] = field(default_factory=set)
    """What it published again in place of a message that it then takes away."""
    starts: int = 0
    ends: int = 0
    has_erred: bool = False
    is_excused: bool = False
    is_working: bool = False
    has_handed_back: bool = False
    was_not_heard: bool = False
    """By the database, at some time."""
    was_not_heard_at_its_end: bool = False
    """When it said that its attempt had ended, or its process was being stopped."""
    is_suspicious: bool = False
    """When it began, nobody had heard the end of an earlier start."""

    @property
    def is_done(self) -> bool:
        return self.task is not None and self.task.done() and not self.gates


ACTOR: ContextVar[Actor] = ContextVar("actor")


async def through_gate(label: str, dependency: Dependency | None, effect: Callable[[], Any], away: Callable[[], Exception]) -> Any:
    """The effect's result, when the machine lets it happen."""
    actor = ACTOR.get()
    if actor.process.is_dead:
        raise Killed
    gate = Gate(label, dependency, partial(copy_context().run, effect), away, asyncio.get_running_loop().create_future())
    actor.gates.append(gate)
    try:
        return await gate.answer
    finally:
        actor.gates.remove(gate)


def at_once(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")
