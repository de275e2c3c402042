"""Who works beside whom: suspects alone, all others side by side, and nobody for ever outside."""

import asyncio
from contextlib import suppress

import pytest

from libs.common.runtime.quarantine import Quarantine


class Room:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.quarantine = Quarantine()
        self.inside: list[str] = []
        self.seen: list[set[str]] = []
        self.doors: dict[str, asyncio.Event] = {}

    def work(self, name: str, *, alone: bool = False) -> "asyncio.Task[None]":
        self.doors[name] = asyncio.Event()

        async def working() -> None:
            async with self.quarantine.entered(alone=alone):
                self.inside.append(name)
                self.seen.append(set(self.inside))
                try:
                    await self.doors[name].wait()
                finally:
                    self.inside.remove(name)

        return asyncio.create_task(working())


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_jobs_work_side_by_side() -> None:
    room = Room()
    tasks = [room.work(name) for name in "abc"]
    await turns()
    assert sorted(room.inside) == ["a", "b", "c"]
    for door in room.doors.values():
        door.set()
    await asyncio.gather(*tasks)


async def test_a_suspect_waits_for_the_others_and_keeps_the_next_ones_out() -> None:
    room = Room()
    tasks = [room.work("a"), room.work("b")]
    await turns()
    tasks += [room.work("suspect", alone=True), room.work("c")]
    await turns()
    assert room.inside == ["a", "b"]
    room.doors["a"].set()
    await turns()
    assert room.inside == ["b"]
    room.doors["b"].set()
    await turns()
    assert room.inside == ["suspect"]
    room.doors["suspect"].set()
    await turns()
    assert room.inside == ["c"]
    room.doors["c"].set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_suspect_that_is_stopped_lets_the_others_in(waits: bool) -> None:
    """While it waits for them to leave, or while it works."""
    room = Room()
    first = room.work("a") if waits else None
    await turns()
    suspect, later = room.work("suspect", alone=True), room.work("c")
    await turns()
    suspect.cancel()
    await turns()
    assert "c" in room.inside
    room.doors["c"].set()
    if first:
        room.doors["a"].set()
        await first
    await later
    with suppress(asyncio.CancelledError):
        await suspect


async def test_two_suspects_work_one_after_the_other() -> None:
    room = Room()
    tasks = [room.work(name, alone=True) for name in "ab"]
    await turns()
    assert room.inside == ["a"]
    room.doors["a"].set()
    await turns()
    assert room.inside == ["b"]
    room.doors["b"].set()
    await asyncio.gather(*tasks)
    assert all(len(together) == 1 for together in room.seen)
