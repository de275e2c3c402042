"""Feeding a stage: which lane is asked next, how many messages are in hand, and how the work ends when the process must.

A stage takes only what it has room for. A busy one serves fast before normal before bulk, and bulk never starves.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from libs.common.domain.events import Priority
from libs.common.domain.failures import Failure
from libs.common.domain.lanes import lane_shares
from libs.common.runtime.bus import Delivery
from libs.common.runtime.lane import POLL
from libs.common.runtime.liveness import heartbeat
from libs.common.runtime.logs import logger
from libs.common.runtime.scratch import ScratchRoom
from libs.common.runtime.settings import CommonSettings
from libs.common.runtime.stage import process
from libs.common.runtime.world import Stage, World

log = logger(__name__)

ROUNDS = 5
"""Deliveries after which a message is no longer handed on by full workers: each counts towards max_deliver, the last net."""


class Source(Protocol):
    """A lane as the puller sees it."""

    async def take_now(self, most: int) -> Sequence[Delivery]:
        """What it has at once."""
        ...

    async def take(self, *, wait: float) -> Delivery | None:
        """The next message, if one comes within so many seconds."""
        ...


class Lanes:
    """A stage's lanes as one: the next message by priority, or whichever comes first when all are empty."""

    def __init__(self, lanes: Mapping[Priority, Source], *, room: asyncio.Semaphore, patience: float) -> None:
        """`patience` is the consumers' ack_wait, in seconds."""
        self._lanes = lanes
        self._room = room
        self._patience = patience
        self._held: list[tuple[Delivery, asyncio.Task[None]]] = []
        self._turn = 0
        self._asking = False
        self._open = True
        self._waits: dict[Priority, asyncio.Task[Sequence[Delivery]]] = {}
        self._taken: list[Delivery] = []
        """For a caller that hasn't got them yet: it may be stopped while we ask a further lane."""

    async def next(self, most: int) -> list[Delivery]:
        """For a caller that has so many free places. Nothing after a quiet while."""
        if self._held:
            return [self._release()]
        self._asking = True
        try:
            await self._take(most)
        except Failure:
            if not self._taken:
                raise
        finally:
            self._asking = False
        taken, self._taken = self._taken, []
        return taken

    async def _take(self, most: int) -> None:
        await self._take_at_once(most)
        if self._taken:
            return
        for priority in Priority:
            if priority not in self._waits:
                self._waits[priority] = asyncio.create_task(self._wait(priority))
        await asyncio.wait(self._waits.values(), return_when=asyncio.FIRST_COMPLETED)
        await self._take_at_once(most)

    async def _take_at_once(self, most: int) -> None:
        """Each lane is asked for the places whose turn it is, then for what the others leave."""
        empty = set()
        for priority, share in lane_shares(self._turn, most).items():
            if not await self._take_from(priority, share):
                empty.add(priority)
        for priority in Priority:
            if priority not in empty and len(self._taken) < most:
                await self._take_from(priority, most - len(self._taken))
        self._turn += max(1, len(self._taken))

    async def _take_from(self, priority: Priority, most: int) -> bool:
        """True if there may be more."""
        found = await self._at_once(priority, most)
        self._taken += found
        return len(found) == most

    async def _at_once(self, priority: Priority, most: int) -> Sequence[Delivery]:
        """What a wait on this lane has brought, or, where none is under way, what the lane has now."""
        wait = self._waits.get(priority)
        if wait is None:
            wait = self._waits[priority] = asyncio.create_task(self._lanes[priority].take_now(most))
            await asyncio.wait([wait])
        if not wait.done():
            return ()
        del self._waits[priority]
        return wait.result()

    async def _wait(self, priority: Priority) -> Sequence[Delivery]:
        delivery = await self._lanes[priority].take(wait=POLL)
        if delivery is None:
            return ()
        if self._asking or (self._open and not self._room.locked()):
            return (delivery,)
        await self._pass_on(delivery)
        return ()

    async def _pass_on(self, delivery: Delivery) -> None:
        """It came when the last place was taken: another worker may have room. One that has gone round long enough is held."""
        if not self._open or delivery.deliveries < ROUNDS:
            await delivery.nak(0)
        else:
            self._held.append((delivery, asyncio.create_task(_beating(delivery, self._patience))))

    def _release(self) -> Delivery:
        delivery, beating = self._held.pop(0)
        beating.cancel()
        return delivery

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """For a while in which nothing is asked for: what comes all the same goes back."""
        self._open = False
        await self.hand_back()
        await self._let_go()
        try:
            yield
        finally:
            self._open = True

    async def hand_back(self) -> None:
        """Before an end, or when nothing more is taken: nothing that has come stays in our hands. What can't go back comes by itself."""
        come, self._taken = self._taken, []
        for priority, wait in list(self._waits.items()):
            if wait.done() and not wait.cancelled() and wait.exception() is None and (deliveries := wait.result()):
                del self._waits[priority]
                come += deliveries
        for delivery in come:
            with suppress(Failure):
                await self._pass_on(delivery)

    async def _let_go(self) -> None:
        while self._held:
            with suppress(Failure):
                await self._release().nak(0)

    async def stop(self) -> None:
        """Never cancel what the server may be answering just now: its message would be lost to all until ack_wait."""
        if self._waits:
            await asyncio.wait(self._waits.values(), timeout=0.25)
        await self.hand_back()
        await self._let_go()
        for wait in self._waits.values():
            wait.cancel()
        await asyncio.gather(*self._waits.values(), return_exceptions=True)


async def _beating(delivery: Delivery, patience: float) -> None:
    async with heartbeat(delivery, patience):
        await asyncio.Event().wait()


class Places:
    """One stage's places in this process: what is in hand, and whether there is room for more."""

    def __init__(self, stage: Stage[Any], settings: CommonSettings, scratch: ScratchRoom | None = None) -> None:
        self.count = settings.worker_max_concurrency * stage.in_hand
        self.free = asyncio.Semaphore(self.count)
        self.scratch = scratch or ScratchRoom(settings)
        self.works: set[asyncio.Task[None]] = set()

    @property
    def in_hand(self) -> int:
        return len(self.works)

    @property
    def left(self) -> int:
        """Places that are free, but for one that the caller holds. No other than the feeder takes any."""
        return self.count - len(self.works) - 1

    def fill(self, work: Coroutine[Any, Any, None]) -> None:
        """For a caller that holds a place: it is free again when the work has ended."""
        task = asyncio.create_task(work)
        self.works.add(task)
        task.add_done_callback(self.works.discard)
        task.add_done_callback(lambda _: self.free.release())


async def run_stage(
    stage: Stage[Any], world: World, lanes: Mapping[Priority, Source], stopping: asyncio.Event, places: Places | None = None
) -> None:
    """Work until `stopping` is set; then finish what is in hand within the time that the settings give, and hand back the rest."""
    places = places or Places(stage, world.settings)
    supply = Lanes(lanes, room=places.free, patience=world.settings.queue_ack_wait_sec)
    feeding = asyncio.create_task(_feed(stage, world, supply, places))
    await asyncio.wait([feeding, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    feeding.cancel()
    [fed, _] = await asyncio.gather(feeding, supply.stop(), return_exceptions=True)
    await finish(list(places.works), world.settings.worker_shutdown_timeout_ms / 1000)
    if isinstance(fed, Exception):
        raise fed


async def _feed(stage: Stage[Any], world: World, supply: Lanes, places: Places) -> None:
    """A message for every place, for ever."""
    while True:
        await places.free.acquire()
        await _until_open(world, places.scratch, supply)
        deliveries = await _next(stage, supply, 1 + places.left)
        if not deliveries:
            places.free.release()
        for number, delivery in enumerate(deliveries):
            if number:
                await places.free.acquire()  # at once: no more were asked for than are free
            places.fill(process(stage, world, delivery))
        if deliveries and places.free.locked():
            await supply.hand_back()


async def _until_open(world: World, scratch: ScratchRoom, supply: Lanes) -> None:
    """Wait for what we depend on, for scratch to have room, and for a suspect to be done; what comes meanwhile is for others."""

    def is_open() -> bool:
        return world.health.is_up and not scratch.is_full and not world.quarantine.is_closed

    if is_open():
        return
    async with supply.closed():
        while not is_open():
            await world.health.until_up()
            await scratch.until_free()
            await world.quarantine.until_open()


async def _next(stage: Stage[Any], supply: Lanes, most: int) -> list[Delivery]:
    try:
        return await supply.next(most)
    except Failure as failure:
        log.warning("nothing to take", stage=stage.name, error=failure.message)
        await asyncio.sleep(0.5)
        return []


async def finish(works: Sequence[asyncio.Task[None]], grace: float) -> None:
    """Let them end within `grace` seconds; cancel the others, which hand their messages back."""
    if not works:
        return
    log.info("finishing the work in hand", works=len(works), grace=grace)
    _, late = await asyncio.wait(works, timeout=grace)
    for work in late:
        work.cancel()
    await asyncio.gather(*late, return_exceptions=True)
