"""Places for encodes: never more than there are, the oldest job first, and none is lost with who waited for it."""

import asyncio

from services.clipper.turns import Turns


async def settled() -> None:
    """Until nobody can go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_job_has_its_second_encode_before_a_younger_one_has_its_first():
    turns, told = Turns(1), list[str]()

    async def job(age: float, name: str) -> None:
        for number in (1, 2):
            async with turns.turn(age):
                told.append(f"{name}{number}")
                await asyncio.sleep(0)

    await asyncio.gather(job(1.0, "a"), job(2.0, "b"), job(3.0, "c"))
    assert told == ["a1", "b1", "a2", "b2", "c1", "c2"]  # while a's second was not asked for yet, b's first took the place


async def test_no_more_are_inside_than_there_are_places():
    turns, inside, most = Turns(2), 0, 0

    async def job() -> None:
        nonlocal inside, most
        async with turns.turn(0.0):
            inside += 1
            most = max(most, inside)
            await settled()
            inside -= 1

    await asyncio.gather(*(job() for _ in range(7)))
    assert (inside, most) == (0, 2)


async def test_a_place_that_was_given_to_one_who_is_cancelled_goes_on():
    turns, holds, last = Turns(1), asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with turns.turn(0.0):
            await holds.wait()

    async def other(inside: asyncio.Event) -> None:
        async with turns.turn(1.0):
            inside.set()

    holder = asyncio.create_task(first())
    await settled()
    second, third = asyncio.create_task(other(asyncio.Event())), asyncio.create_task(other(last))
    await settled()
    holds.set()
    await holder  # the place is the second's now, which has not run yet
    second.cancel()
    await asyncio.gather(second, third, return_exceptions=True)
    assert last.is_set()


async def test_who_is_cancelled_while_waiting_is_passed_over():
    turns, holds, last = Turns(1), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with turns.turn(0.0):
            await holds.wait()

    async def other(key: float, event: asyncio.Event) -> None:
        async with turns.turn(key):
            event.set()

    holder = asyncio.create_task(hold())
    await settled()
    gone, third = asyncio.create_task(other(1.0, asyncio.Event())), asyncio.create_task(other(2.0, last))
    await settled()
    gone.cancel()
    await settled()
    holds.set()
    await asyncio.gather(holder, gone, third, return_exceptions=True)
    assert last.is_set()
