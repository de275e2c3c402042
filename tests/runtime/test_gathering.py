"""Questions that are asked together: each gets its own answer, whatever happens to its neighbours."""

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.gathering import Gathering

AWAY = Failure(Code.RETRYABLE_ERROR, "away", outage="postgres")


class Desk:
    """Doubles numbers; negative ones it can't bear. While its door is closed, nobody is answered."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.is_away = False

    async def ask(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        await self.open.wait()
        if self.is_away:
            raise AWAY
        if any(number < 0 for number in numbers):
            raise ValueError(min(numbers))
        return [2 * number for number in numbers]


async def test_a_question_goes_alone_while_a_way_is_free_and_the_others_go_together() -> None:
    desk = Desk()
    gathering = Gathering(desk.ask, ways=2, most=3)
    desk.open.clear()
    answers = asyncio.gather(*(gathering(number) for number in range(7)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers == [2 * number for number in range(7)]
    assert sorted(number for many in desk.asked for number in many) == list(range(7))
    assert max(map(len, desk.asked)) == 3
    assert len(desk.asked) < 7
    desk.asked.clear()
    assert await gathering(21) == 42
    assert desk.asked == [[21]]


async def test_a_question_that_can_not_be_answered_costs_its_neighbours_nothing() -> None:
    desk = Desk()
    gathering = Gathering(desk.ask, ways=1, most=10)
    answers = await asyncio.gather(*(gathering(number) for number in (1, -2, 3, -4)), return_exceptions=True)
    assert answers[0] == 2
    assert answers[2] == 6
    assert [repr(answers[place]) for place in (1, 3)] == ["ValueError(-2)", "ValueError(-4)"]


async def test_an_outage_is_everybody_s_and_nobody_is_asked_again_for_it() -> None:
    desk = Desk()
    desk.is_away = True
    gathering = Gathering(desk.ask, ways=1, most=10)
    assert await asyncio.gather(*(gathering(number) for number in range(5)), return_exceptions=True) == [AWAY] * 5
    assert sum(map(len, desk.asked)) == 5
    desk.is_away = False
    assert await gathering(1) == 2


async def test_who_is_cancelled_leaves_the_others_their_answers() -> None:
    desk = Desk()
    gathering = Gathering(desk.ask, ways=1, most=2)
    desk.open.clear()
    tasks = [asyncio.create_task(gathering(number)) for number in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[3].cancel()
    desk.open.set()
    assert await asyncio.gather(*tasks[1:3]) == [2, 4]
    for task in (tasks[0], tasks[3]):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert 3 not in [number for many in desk.asked for number in many], "who has gone is not asked for"


async def test_where_all_who_asked_have_gone_nothing_is_asked() -> None:
    desk = Desk()
    gathering = Gathering(desk.ask, ways=1, most=10)
    desk.open.clear()
    first = asyncio.create_task(gathering(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(gathering(2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    desk.open.set()
    assert await first == 2
    assert await gathering(3) == 6
    assert desk.asked == [[1], [3]]
