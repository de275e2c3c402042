"""Feeding a stage: which lane is asked next, how many messages are in hand, and how the work ends when the process must.

A stage takes only what it has room for. A busy one serves fast before normal before bulk, and bulk never starves.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from libs.common.domain.events import Priority
from libs.common.domain.failures import Failure
from libs.common.runtime.jetstream import POLL, Delivery
from libs.common.runtime.stage import Stage, World, process
from libs.common.runtime.telemetry import logger

log = logger(__name__)

FAIR = 8
"""Of so many turns one begins with bulk and another with normal, so that neither starves behind fast."""


class Source(Protocol):
    """A lane as the puller sees it: a message at once, or within `wait` seconds, or None."""

    async def take(self, *, wait: float = 0.0) -> Delivery | None: ...


def lane_order(turn: int) -> tuple[Priority, ...]:
    """The lanes in the order in which the turn-th free place asks them."""
    match turn % FAIR:
        case 3:
            return (Priority.NORMAL, Priority.FAST, Priority.BULK)
        case 7:
            return (Priority.BULK, Priority.FAST, Priority.NORMAL)
        case _:
            return (Priority.FAST, Priority.NORMAL, Priority.BULK)


class Lanes:
    """A stage's lanes as one: the next message by priority, or whichever comes first when all are empty."""

    def __init__(self, lanes: Mapping[Priority, Source], *, room: asyncio.Semaphore) -> None:
        self._lanes = lanes
        self._room = room
        self._turn = 0
        self._asking = False
        self._waits: dict[Priority, asyncio.Task[Delivery | None]] = {}

    async def next(self) -> Delivery | None:
        """For a caller that holds one place of `room`. None after a quiet while."""
        self._asking = True
        try:
            return await self._next()
        finally:
            self._asking = False

    async def _next(self) -> Delivery | None:
        order = lane_order(self._turn)
        self._turn += 1
        for priority in order:
            if delivery := await self._at_once(priority):
                return delivery
        for priority in order:
            if priority not in self._waits:
                self._waits[priority] = asyncio.create_task(self._wait(priority))
        await asyncio.wait(self._waits.values(), return_when=asyncio.FIRST_COMPLETED)
        for priority in order:
            if delivery := await self._at_once(priority):
                return delivery
        return None

    async def _at_once(self, priority: Priority) -> Delivery | None:
        """What a wait on this lane has brought, or, where none is under way, what the lane has now."""
        wait = self._waits.get(priority)
        if wait is None:
            wait = self._waits[priority] = asyncio.create_task(self._lanes[priority].take())
            await asyncio.wait([wait])
        if not wait.done():
            return None
        del self._waits[priority]
        return wait.result()

    async def _wait(self, priority: Priority) -> Delivery | None:
        delivery = await self._lanes[priority].take(wait=POLL)
        if delivery is None or self._asking or not self._room.locked():
            return delivery
        await delivery.nak(0)  # it came when the last place was taken: another worker may have room
        return None

    async def hand_back(self) -> None:
        """Before an end, or when the last place was taken: nothing that has come stays in our hands."""
        for priority, wait in list(self._waits.items()):
            if wait.done() and not wait.cancelled() and wait.exception() is None and (delivery := wait.result()):
                del self._waits[priority]
                await delivery.nak(0)

    async def stop(self) -> None:
        """Never cancel what the server may be answering just now: its message would be lost to all until ack_wait."""
        if self._waits:
            await asyncio.wait(self._waits.values(), timeout=0.25)
        await self.hand_back()
        for wait in self._waits.values():
            wait.cancel()
        await asyncio.gather(*self._waits.values(), return_exceptions=True)


async def run_stage(stage: Stage[Any], world: World, lanes: Mapping[Priority, Source], stopping: asyncio.Event) -> None:
    """Work until `stopping` is set; then finish what is in hand within the time that the settings give, and hand back the rest."""
    room = asyncio.Semaphore(world.settings.worker_max_concurrency * stage.in_hand)
    supply = Lanes(lanes, room=room)
    works: set[asyncio.Task[None]] = set()

    async def feed() -> None:
        while True:
            await world.health.until_up()
            await room.acquire()
            delivery = await _next(stage, supply)
            if delivery is None:
                room.release()
                continue
            work = asyncio.create_task(process(stage, world, delivery))
            works.add(work)
            work.add_done_callback(works.discard)
            work.add_done_callback(lambda _: room.release())
            if room.locked():
                await supply.hand_back()

    feeding = asyncio.create_task(feed())
    await asyncio.wait([feeding, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    feeding.cancel()
    [fed, _] = await asyncio.gather(feeding, supply.stop(), return_exceptions=True)
    await finish(list(works), world.settings.worker_shutdown_timeout_ms / 1000)
    if isinstance(fed, Exception):
        raise fed


async def _next(stage: Stage[Any], supply: Lanes) -> Delivery | None:
    try:
        return await supply.next()
    except Failure as failure:
        log.warning("nothing to take", stage=stage.name, error=failure.message)
        await asyncio.sleep(0.5)
        return None


async def finish(works: Sequence[asyncio.Task[None]], grace: float) -> None:
    """Let them end within `grace` seconds; cancel the others, which hand their messages back."""
    if not works:
        return
    log.info("finishing the work in hand", works=len(works), grace=grace)
    _, late = await asyncio.wait(works, timeout=grace)
    for work in late:
        work.cancel()
    await asyncio.gather(*late, return_exceptions=True)
