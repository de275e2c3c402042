"""Guesses: never more than the bucket holds and what runs into it, nothing for what was none; and streams of a key that is revoked."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from services.api.event_streams import EventStream, EventStreams, Pace
from services.api.guesses import GUESSES_PER_SECOND, MOST_GUESSES, Guesses
from services.api.key_store import KeyStore
from tests.api.conftest import Running
from tests.api.following import Deaf, following, no_news, sooner
from tests.api.keyed import PEPPER, client, keyed
from tests.builders import envelope, requested

FEW, STREAMS = 8, 20


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def taken(guesses: Guesses, address: str = "a") -> bool:
    try:
        guesses.take(address)
    except Failure as failure:
        return bool(failure.code is not Code.RATE_LIMITED or (failure.retry_after or 2) > 1)
    return True


@given(st.lists(st.floats(0, 20), max_size=300))
def test_an_address_has_a_burst_and_then_so_many_a_second(pauses: list[float]) -> None:
    clock = Clock()
    guesses, count = Guesses(clock), 0
    for pause in pauses:
        clock.seconds += pause
        count += taken(guesses)
    assert count <= MOST_GUESSES + GUESSES_PER_SECOND * clock.seconds


@given(st.lists(st.booleans(), min_size=200, max_size=200))
def test_what_is_given_back_costs_nothing_and_never_makes_more_than_a_bucket(good: list[bool]) -> None:
    guesses, bad = Guesses(Clock()), 0
    for is_good in good:
        if taken(guesses):
            bad += not is_good
            if is_good:
                guesses.give_back("a")
        else:
            assert bad == MOST_GUESSES
    assert taken(guesses, "another")
    assert bad == min(MOST_GUESSES, good.count(False))


def test_a_bad_key_each_second_locks_nobody_out() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    for _ in range(600):
        clock.seconds += 1
        assert taken(guesses)


async def test_a_revoked_key_that_many_streams_use_ends_them_all_and_locks_nobody_out(
    api: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sooner(monkeypatch)
    monkeypatch.setattr("services.api.guesses.MOST_GUESSES", FEW)
    monkeypatch.setattr("services.api.guesses.GUESSES_PER_SECOND", 1.0)
    async with keyed(api, TRUSTED_PROXIES="") as (http, to), AsyncExitStack() as stack:
        mine, other = await client(to.pool, tenant="acme"), await client(to.pool)
        job_id = await api.knows(envelope(requested(tenant="acme")))
        streams = [await stack.enter_async_context(following(http, job_id, **mine.headers)) for _ in range(STREAMS)]
        assert {(await stream.next()).id for stream in streams} == {1}
        await KeyStore(to.pool, PEPPER).revoke(mine.key.id)
        async with asyncio.timeout(40):
            assert await asyncio.gather(*(stream.rest() for stream in streams)) == [[]] * STREAMS
        assert (await http.get("/api/jobs/x", headers=other.headers)).status_code == 404


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.UNAUTHORIZED, Code.FORBIDDEN])
async def test_a_stream_ends_whenever_its_client_is_let_in_no_more(api: Running, code: Code) -> None:
    job_id = await api.knows(envelope(requested()))

    async def refused() -> None:
        raise Failure(code, "no")

    streams, deaf = EventStreams(api.to.pool, no_news, most=1, pace=Pace(outage=0.01)), Deaf(takes=1_000_000)
    async with asyncio.timeout(20):
        await EventStream(streams, job_id, "me", 0, refused)({}, deaf.receive, deaf.send)
    assert deaf.got[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
