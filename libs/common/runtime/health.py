"""Whether what we depend on answers: asked in turn while the service runs, and at once when something failed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from libs.common.domain.failures import Failure
from libs.common.runtime.logs import logger
from libs.common.runtime.metrics import DEPENDENCY_UP

log = logger(__name__)
PING_LIMIT = 4.0
Ping = Callable[[], Awaitable[None]]
"""Returns when the dependency answers; raises Failure when not."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """One dependency's last answer. Latency in seconds."""

    up: bool
    latency: float


SOON, LATE = 0.05, 1.0
"""Seconds from an unanswered ping to the next: at first, since a start or a stumble is soon over, and at most."""


def again() -> Iterator[float]:
    """The pauses between pings that nobody answers."""
    pause = SOON
    while True:
        yield pause
        pause = min(2 * pause, LATE)


Readiness = Literal["ready", "degraded", "unready"]


class Health:
    """The pulses of all dependencies. `every` seconds apart while all is well, sooner while something is down.

    `needed`: those without which the service can't serve at all; every one, unless it says otherwise.
    """

    def __init__(self, pings: Mapping[str, Ping], *, needed: Collection[str] | None = None, every: float = 5.0) -> None:
        self._pings = pings
        self._needed = set(pings if needed is None else needed)
        self._every = every
        self.pulses: dict[str, Pulse] = {}
        self.full: set[str] = set()
        """What this process has no more room in (scratch): it finishes what it has and takes nothing new."""

    def also_watch(self, pings: Mapping[str, Ping]) -> None:
        """More dependencies, all of them needed."""
        self._pings = {**self._pings, **pings}
        self._needed |= set(pings)

    @property
    def readiness(self) -> Readiness:
        """degraded: ready, with something away that is not needed, or without room for more work."""
        if self.is_up:
            return "degraded" if self.full else "ready"
        return "degraded" if self._needed <= {name for name, pulse in self.pulses.items() if pulse.up} else "unready"

    @property
    def is_up(self) -> bool:
        return len(self.pulses) == len(self._pings) and all(pulse.up for pulse in self.pulses.values())

    async def watch(self) -> None:
        """Take all pulses until cancelled."""
        pauses = again()
        while True:
            await self.check_all()
            pauses = again() if self.is_up else pauses
            await asyncio.sleep(self._every if self.is_up else next(pauses))

    async def check_all(self) -> bool:
        await asyncio.gather(*(self.check(name) for name in self._pings))
        return self.is_up

    async def check(self, name: str) -> bool:
        """Ask one dependency now."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PING_LIMIT):
                await self._pings[name]()
            up, why = True, None
        except Failure as failure:
            up, why = False, failure.message
        except TimeoutError:
            up, why = False, "no answer"
        except Exception as error:
            log.exception("a ping broke", dependency=name)
            up, why = False, type(error).__name__
        self._note(name, Pulse(up, time.perf_counter() - began), why)
        return up

    def _note(self, name: str, pulse: Pulse, why: str | None) -> None:
        before = self.pulses.get(name)
        if pulse.up and not (before and before.up):
            log.info("dependency is up", dependency=name)
        elif not pulse.up and before is None:
            log.info("dependency is not there yet", dependency=name, error=why)
        elif not pulse.up and before and before.up:
            log.error("dependency is down", dependency=name, error=why)
        self.pulses[name] = pulse
        DEPENDENCY_UP.labels(name).set(pulse.up)

    async def until_answers(self, name: str) -> None:
        """Return when this dependency does: at once when it isn't one of ours."""
        pauses = again()
        while name in self._pings and not await self.check(name):
            await asyncio.sleep(next(pauses))

    async def until_up(self, *, suspect: str | None = None) -> bool:
        """Return when every dependency answers: at once if all did when they were last asked, and the suspect does now.

        True if something was away.
        """
        if suspect is not None and suspect in self._pings:
            await self.check(suspect)
        was_away, pauses = any(not pulse.up for pulse in self.pulses.values()), again()
        while not (self.is_up or await self.check_all()):
            await asyncio.sleep(next(pauses))
        return was_away
