"""Holders of a fetch that are killed, cancelled or cut off, and a database that goes away. On the real Postgres."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.postgres import open_pool
from libs.common.runtime.source_cache import Claimed, Waiting, fetched_once, open_source_cache
from tests.runtime.fetching import TEN, Fetcher, Watched, a_source, asking, of, soon

SLEEPER = """
import asyncio, sys
from libs.common.runtime.source_cache import Section, fetched_once, open_source_cache
async def fetch(fetch_id):
    print(fetch_id, flush=True)
    await asyncio.sleep(60)
async def main():
    async with open_source_cache(sys.argv[1], holder="sleeper") as cache:
        await fetched_once(cache, bytes.fromhex(sys.argv[2]), Section(10, 20), fetch, ttl=60, lease=1)
asyncio.run(main())
"""


@pytest.fixture
async def cache(servers: dict[str, str]) -> AsyncIterator[Watched]:
    async with open_source_cache(servers["DATABASE_URL"], holder="tests") as real:
        yield Watched(real)


async def test_a_holder_that_is_killed_is_followed_when_its_lease_ends(servers: dict[str, str], cache: Watched) -> None:
    source, fetch = a_source(), Fetcher.quick()
    sleeper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLEEPER, servers["DATABASE_URL"], source.hex(), cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    try:
        assert sleeper.stdout is not None
        first = UUID((await sleeper.stdout.readline()).decode().strip())
        heir = asking(cache, source, fetch)
        await cache.until_waiting()
    finally:
        sleeper.kill()
        await sleeper.wait()
    assert (await soon(heir)).section == TEN
    assert first not in fetch.ids
    assert not await cache.hold(first, 30)
    assert not await cache.finish(first, of(TEN, first), 60)


async def test_a_holder_that_is_cancelled_is_followed_at_once(cache: Watched) -> None:
    source, held, fetch = a_source(), Fetcher(), Fetcher.quick()
    holder = asking(cache, source, held)
    await soon(held.begun.wait())
    heir = asking(cache, source, fetch)
    await cache.until_waiting()
    holder.cancel()
    assert (await soon(heir)).section == TEN
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert held.was_cancelled


async def test_an_asker_cancelled_at_any_moment_leaves_no_claim(cache: Watched) -> None:
    turns, fetch = 0, Fetcher()
    while not fetch.begun.is_set():
        source = a_source()
        asker = asking(cache, source, fetch)
        for _ in range(turns):
            await asyncio.sleep(0)
        asker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        assert (await soon(asking(cache, source, Fetcher.quick()))).section == TEN
        turns += 1 + turns // 16


async def test_a_lease_is_renewed_while_the_fetch_goes_on(cache: Watched) -> None:
    source, fetch = a_source(), Fetcher()
    holder = asking(cache, source, fetch, lease=0.3)
    for _ in range(5):
        await soon(cache.renewed.wait())
        cache.renewed.clear()
    assert isinstance(await cache.claim(uuid4(), source, TEN, 30), Waiting)
    fetch.end.set()
    assert (await holder).section == TEN


async def test_a_lost_lease_ends_the_fetch_and_costs_no_attempt(cache: Watched) -> None:
    fetch = Fetcher()
    holder = asking(cache, a_source(), fetch, lease=0.3)
    await soon(fetch.begun.wait())
    await cache.release(fetch.ids[0])
    with pytest.raises(Failure) as lost:
        await soon(holder)
    assert (lost.value.code, lost.value.charged, lost.value.outage) == (Code.RETRYABLE_ERROR, False, None)
    assert fetch.was_cancelled


async def test_a_fetch_s_own_timeout_is_not_taken_for_a_lost_lease(cache: Watched) -> None:
    with pytest.raises(TimeoutError):
        await asking(cache, a_source(), Fetcher.quick(failure=TimeoutError()))


async def test_what_was_fetched_after_another_took_over_serves_its_own_job(cache: Watched) -> None:
    source, fetch = a_source(), Fetcher()
    holder = asking(cache, source, fetch)
    await soon(fetch.begun.wait())
    await cache.release(fetch.ids[0])
    fetch.end.set()
    assert await holder == of(TEN, fetch.ids[0])
    assert isinstance(await cache.claim(uuid4(), source, TEN, 30), Claimed)


async def test_a_claim_that_stops_in_the_middle_holds_up_no_one_for_long(servers: dict[str, str], cache: Watched) -> None:
    source = a_source()
    async with open_pool(servers["DATABASE_URL"], connections=1) as pool, pool.acquire() as connection:
        await connection.execute("BEGIN")
        await connection.execute(cache._sql["lock"], source)
        assert isinstance(await soon(cache.claim(uuid4(), source, TEN, 30)), Claimed)


async def test_a_short_outage_of_the_database_does_not_cost_the_fetch(local: LocalServers, cache: Watched) -> None:
    source, fetch = a_source(), Fetcher()
    holder = asking(cache, source, fetch, lease=12)
    await soon(fetch.begun.wait())
    await local.postgres.kill()
    try:
        await soon(cache.not_renewed.wait())
        with pytest.raises(Failure) as away:
            await fetched_once(cache, source, TEN, Fetcher.quick(), ttl=60)
        assert (away.value.outage, away.value.retryable) == ("postgres", True)
    finally:
        await local.postgres.start()
    cache.renewed.clear()
    await soon(cache.renewed.wait())
    fetch.end.set()
    assert await holder == of(TEN, fetch.ids[0])


async def test_an_outage_longer_than_the_lease_ends_the_fetch(local: LocalServers, cache: Watched) -> None:
    fetch = Fetcher()
    holder = asking(cache, a_source(), fetch, lease=0.5)
    await soon(fetch.begun.wait())
    await local.postgres.kill()
    try:
        with pytest.raises(Failure) as lost:
            await soon(holder)
    finally:
        await local.postgres.start()
    assert (lost.value.retryable, lost.value.charged) == (True, False)
    assert fetch.was_cancelled
