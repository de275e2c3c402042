"""When a provider in trouble is asked again: the breaker by a clock of the test's own, and around a transcriber."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libs.common.domain.failures import Code, Failure
from services.asr.breaker import FIRST_REST, LONGEST_REST, Breaker, Guarded, is_trouble
from services.asr.transcriber import Audio
from services.asr.transcript import Transcript
from services.asr.wish import Wish

DOWN = Failure(Code.RETRYABLE_ERROR, "no answer")
QUOTA = Failure(Code.RETRYABLE_ERROR, "too often", retry_after=90, charged=False)
FORBIDDEN = Failure(Code.FORBIDDEN, "no")
WORDS = Transcript(language="en", provider="fake", model="one", audio_seconds=1.0)
AUDIO = Audio(Path("none.flac"), 1.0)


def test_a_breaker_lets_all_pass_until_a_failure_and_one_after_the_rest():
    breaker = Breaker()
    assert (breaker.closed_to(0), breaker.begin()) == (None, False)
    breaker.fail(DOWN, now=10, took=1)
    assert breaker.closed_to(10 + FIRST_REST - 0.1)
    assert breaker.closed_to(10 + FIRST_REST) is None
    assert breaker.begin()
    assert breaker.closed_to(10 + FIRST_REST)
    breaker.succeed()
    assert breaker.closed_to(10 + FIRST_REST) is None


def test_each_failure_after_a_rest_doubles_it_to_a_limit():
    breaker, now, rests = Breaker(), 0.0, []
    for _ in range(9):
        breaker.fail(DOWN, now, took=0)
        rests.append(breaker.rests_until - now)
        now = breaker.rests_until
    assert rests == [5, 10, 20, 40, 80, 160, 320, LONGEST_REST, LONGEST_REST]


def test_requests_that_fail_together_count_once():
    breaker = Breaker()
    breaker.fail(DOWN, 0, took=0)
    breaker.fail(DOWN, 1, took=0)
    assert breaker.rests_until == FIRST_REST


def test_a_rest_is_as_long_as_the_time_that_was_waited_in_vain():
    breaker = Breaker()
    breaker.fail(DOWN, 120, took=120)
    assert breaker.rests_until == 240


def test_a_quota_is_told_with_the_time_that_is_left():
    breaker = Breaker()
    breaker.fail(QUOTA, 0, took=0.1)
    told = breaker.closed_to(70)
    assert told
    assert (told.retry_after, told.charged) == (20, False)
    assert breaker.closed_to(90) is None


@pytest.mark.parametrize(
    ("failure", "trouble"),
    [
        (DOWN, True),
        (FORBIDDEN, True),
        (QUOTA, True),
        (Failure(Code.RETRYABLE_ERROR, "busy", retry_after=20), True),
        (Failure(Code.RETRYABLE_ERROR, "too often", retry_after=7, charged=False), False),
        (Failure(Code.RETRYABLE_ERROR, "our own", outage="postgres"), False),
        (Failure(Code.RETRYABLE_ERROR, "the provider's", outage="asr"), True),
        (Failure(Code.SOURCE_UNREADABLE, "noise"), False),
        (Failure(Code.INPUT_TOO_LARGE, "long"), False),
    ],
)
def test_trouble_is_what_is_not_the_audios_fault_and_will_not_pass_soon(failure: Failure, *, trouble: bool):
    assert is_trouble(failure, patience=30) is trouble


@dataclass
class Scripted:
    """A transcriber that does what it is told, one after the other; then it answers."""

    ends: list[Failure | None] = field(default_factory=list)
    refuses: Failure | None = None
    calls: int = 0
    hold: asyncio.Event | None = None
    provider: str = "fake"
    model: str = "one"

    def refusal(self, _: Wish) -> Failure | None:
        return self.refuses

    async def transcribe(self, _audio: Audio, _wish: Wish) -> Transcript:
        self.calls += 1
        if self.hold:
            await self.hold.wait()
        if self.ends and (failure := self.ends.pop(0)):
            raise failure
        return WORDS


async def outcome(guarded: Guarded) -> Transcript | Failure:
    try:
        return await guarded.transcribe(AUDIO, Wish())
    except Failure as failure:
        return failure


def guarding(*ends: Failure | None, spare: Scripted | None = None) -> tuple[Guarded, Scripted]:
    inner = Scripted([*ends])
    return Guarded(inner, spare or Scripted(), patience=30), inner


async def test_a_provider_that_is_down_is_not_asked_while_it_rests():
    guarded, inner = guarding(DOWN)
    told = [await outcome(guarded) for _ in range(5)]
    assert inner.calls == 1
    assert {failure.message for failure in told if isinstance(failure, Failure)} == {"no answer"}


async def test_after_the_rest_one_request_goes_first_and_its_answer_opens_the_way():
    guarded, inner = guarding(DOWN)
    await outcome(guarded)
    guarded.breaker.rests_until = 0
    inner.hold = asyncio.Event()
    first = asyncio.create_task(outcome(guarded))
    while inner.calls < 2:
        await asyncio.sleep(0)
    assert isinstance(await outcome(guarded), Failure)
    inner.hold.set()
    assert await first == WORDS
    assert await outcome(guarded) == WORDS


async def test_a_first_request_that_is_cancelled_lets_another_go_first():
    guarded, inner = guarding(DOWN)
    await outcome(guarded)
    guarded.breaker.rests_until = 0
    inner.hold = asyncio.Event()
    first = asyncio.create_task(outcome(guarded))
    while inner.calls < 2:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    inner.hold.set()
    assert await outcome(guarded) == WORDS


async def test_what_is_the_audios_fault_keeps_nobody_away():
    guarded, inner = guarding(Failure(Code.SOURCE_UNREADABLE, "noise"))
    assert isinstance(await outcome(guarded), Failure)
    assert await outcome(guarded) == WORDS
    assert inner.calls == 2


async def test_where_nobody_can_take_over_the_provider_is_asked_all_the_same():
    guarded, inner = guarding(DOWN, spare=Scripted(refuses=Failure(Code.VALIDATION_FAILED, "English only")))
    assert isinstance(await outcome(guarded), Failure)
    assert await outcome(guarded) == WORDS
    assert inner.calls == 2
