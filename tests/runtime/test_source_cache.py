"""One fetch for many askers, and what covers what. On the real Postgres; two caches are two replicas with a pool each."""

import asyncio
import math
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.source_cache import Claimed, Fetched, Section, fetched_once, open_source_cache
from tests.runtime.fetching import TEN, WHOLE, Fetcher, Watched, a_source, asking, of, soon


@pytest.fixture
async def replicas(servers: dict[str, str]) -> AsyncIterator[list[Watched]]:
    url, waiting = servers["DATABASE_URL"], asyncio.Semaphore(0)
    async with open_source_cache(url, holder="one") as one, open_source_cache(url, holder="two") as two:
        yield [Watched(one, waiting), Watched(two, waiting)]


@pytest.fixture
def cache(replicas: list[Watched]) -> Watched:
    return replicas[0]


async def test_many_askers_on_two_replicas_cause_one_fetch(replicas: list[Watched]) -> None:
    source, fetch = a_source(), Fetcher()
    askers = [asking(replicas[n % 2], source, fetch) for n in range(20)]
    await replicas[0].until_waiting(19)
    fetch.end.set()
    answers = await soon(asyncio.gather(*askers))
    assert len(fetch.ids) == 1
    assert answers == [of(TEN, fetch.ids[0])] * 20


async def test_a_later_asker_gets_what_is_there_as_it_was_given(replicas: list[Watched]) -> None:
    source, result = a_source(), rb'{"title": "\u0000 \ud800 \u2603",  "b":1, "a":2.50}'
    first = await asking(replicas[0], source, Fetcher.quick(result=result))
    assert first.result == result
    later = Fetcher.quick()
    assert await asking(replicas[1], source, later) == first
    assert later.ids == []


async def test_what_has_no_object_is_kept_as_well(replicas: list[Watched]) -> None:
    source, words, fetch_ids = a_source(), Fetched(WHOLE, None, b'{"words": []}'), []

    async def transcribe(fetch_id: UUID) -> Fetched:
        fetch_ids.append(fetch_id)
        return words

    assert [await fetched_once(replica, source, WHOLE, transcribe, ttl=60) for replica in replicas] == [words, words]
    assert len(fetch_ids) == 1


async def test_other_sections_and_other_sources_are_fetched_at_the_same_time(cache: Watched) -> None:
    source, other = a_source(), Section(15, 25)
    fetches = [Fetcher(TEN), Fetcher(other), Fetcher(TEN)]
    askers = [asking(cache, source, fetches[0]), asking(cache, source, fetches[1], other), asking(cache, a_source(), fetches[2])]
    for fetch in fetches:
        await soon(fetch.begun.wait())
    for fetch in fetches:
        fetch.end.set()
    assert [answer.section for answer in await asyncio.gather(*askers)] == [TEN, other, TEN]


async def test_an_asker_for_less_waits_for_the_fetch_of_more(replicas: list[Watched]) -> None:
    source, fetch = a_source(), Fetcher(WHOLE)
    first = asking(replicas[0], source, fetch, WHOLE)
    await soon(fetch.begun.wait())
    second = asking(replicas[1], source, fetch, Section(3, 4))
    await replicas[1].until_waiting()
    fetch.end.set()
    assert await first == await second
    assert len(fetch.ids) == 1


async def test_what_was_asked_for_is_covered_even_when_the_source_has_a_little_less(cache: Watched) -> None:
    source, fetch = a_source(), Fetcher.quick(Section(10.02, 19.96))
    for _ in range(3):
        assert (await asking(cache, source, fetch)).object_key == f"sources/cache/{fetch.ids[0]}.mp4"
    assert len(fetch.ids) == 1


bounds = st.integers(0, 12)
sections = st.one_of(st.tuples(bounds, bounds).filter(lambda b: b[0] < b[1]).map(lambda b: Section(*b)), st.just(WHOLE))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.lists(sections, max_size=5), wanted=sections)
async def test_a_ready_section_answers_exactly_those_it_covers_the_youngest_first(
    cache: Watched, kept: list[Section], wanted: Section
) -> None:
    source, standing = a_source(), []
    for section in kept:
        fetch_id = uuid4()
        if isinstance(await cache.claim(fetch_id, source, section, 30), Claimed):
            assert await cache.finish(fetch_id, of(section, fetch_id), 60)
            standing.append(of(section, fetch_id))
    covering = [each for each in standing if each.section.start <= wanted.start and wanted.end <= each.section.end]
    wanted_id = uuid4()
    assert await cache.claim(wanted_id, source, wanted, 30) == (covering[-1] if covering else Claimed(wanted_id))


async def test_what_is_ready_goes_before_what_is_still_fetched(cache: Watched) -> None:
    source, ready, fetching = a_source(), uuid4(), uuid4()
    await cache.claim(ready, source, TEN, 30)
    await cache.finish(ready, of(TEN, ready), 20)
    assert await cache.claim(fetching, source, WHOLE, 30) == Claimed(fetching)
    assert await cache.claim(uuid4(), source, TEN, 30) == of(TEN, ready)


async def test_a_source_whose_time_is_up_is_fetched_again(cache: Watched) -> None:
    source, fetch_id = a_source(), uuid4()
    await cache.claim(fetch_id, source, TEN, 30)
    await cache.finish(fetch_id, of(TEN, fetch_id), 0)
    assert isinstance(await cache.claim(uuid4(), source, TEN, 30), Claimed)


@pytest.mark.parametrize(("start", "end"), [(1, 1), (2, 1), (math.nan, 1), (1, math.nan), (math.inf, math.inf)])
def test_a_section_without_length_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="ends after its start"):
        Section(start, end)


async def test_the_failure_of_one_fetch_is_that_of_all_who_wait_and_of_no_one_later(replicas: list[Watched]) -> None:
    failure = Failure(Code.RATE_LIMITED, "too often \0", retry_after=7.5, charged=False, hint="Come back.")
    source, gone, again = a_source(), Fetcher(failure=failure), Fetcher.quick()
    askers = [asking(replicas[n % 2], source, gone) for n in range(20)]
    await replicas[0].until_waiting(19)
    gone.end.set()
    told = await soon(asyncio.gather(*askers, return_exceptions=True))
    assert len(gone.ids) == 1
    assert {(type(each), *vars(each).values()) for each in told} == {(Failure, *vars(failure).values())}
    assert (await asking(replicas[1], source, again)).section == TEN


async def told_to_two(replicas: list[Watched], error: Exception) -> list[Fetched | BaseException]:
    """What the holder and one who waits get when the fetch ends so."""
    source, fetch = a_source(), Fetcher(failure=error)
    first = asking(replicas[0], source, fetch)
    await soon(fetch.begun.wait())
    second = asking(replicas[1], source, fetch)
    await replicas[1].until_waiting()
    fetch.end.set()
    told = await soon(asyncio.gather(first, second, return_exceptions=True))
    assert len(fetch.ids) == 1
    return told


async def test_an_outage_that_ends_a_fetch_is_told_as_one(replicas: list[Watched]) -> None:
    told = await told_to_two(replicas, Failure(Code.STORAGE_UNAVAILABLE, "away", outage="s3"))
    assert [(each.outage, each.retryable) for each in told if isinstance(each, Failure)] == [("s3", True)] * 2


async def test_an_unexpected_error_stays_inside_and_is_told_as_internal(replicas: list[Watched]) -> None:
    [own, told] = await told_to_two(replicas, KeyError("secret"))
    assert isinstance(own, KeyError)
    assert isinstance(told, Failure)
    assert told.code is Code.INTERNAL
    assert "secret" not in str(told)


async def test_a_wider_fetch_s_failure_is_not_that_of_a_narrower_asker(replicas: list[Watched]) -> None:
    source, wide, narrow = a_source(), Fetcher(failure=Failure(Code.INPUT_TOO_LARGE, "no")), Fetcher.quick()
    first = asking(replicas[0], source, wide, WHOLE)
    await soon(wide.begun.wait())
    second = asking(replicas[1], source, narrow)
    await replicas[1].until_waiting()
    wide.end.set()
    with pytest.raises(Failure):
        await first
    assert (await soon(second)).section == TEN


async def test_an_object_that_is_missing_is_fetched_again_once_it_is_forgotten(cache: Watched) -> None:
    source, fetch = a_source(), Fetcher.quick()
    first = await asking(cache, source, fetch)
    await cache.forget(first.object_key)
    assert await asking(cache, source, fetch) != first
    assert len(fetch.ids) == 2
