"""Leases on a real Postgres: one holder at a time, whoever dies, is stopped or can't reach the database."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from libs.common.domain.failures import Failure
from libs.common.runtime.embedded import LocalServers
from libs.common.runtime.event_store import open_event_store
from libs.common.runtime.leases import Leases
from libs.common.runtime.postgres import Pool, open_pool

SHORT = 0.6


@pytest.fixture
async def pool(servers: dict[str, str]) -> AsyncIterator[Pool]:
    """Of one connection: nobody who has a lease holds on to it."""
    async with open_pool(servers["DATABASE_URL"], connections=1) as pool:
        yield pool


@pytest.fixture
def name() -> str:
    return f"of the tests {uuid4()}"


async def ends_at(pool: Pool, name: str) -> object:
    return await pool.fetchval("SELECT expires_at FROM leases WHERE name = $1", name)


async def test_each_name_has_one_holder_at_a_time_and_leaves_nothing_behind(pool: Pool, name: str) -> None:
    one, other = Leases(pool), Leases(pool)
    async with one.held(name) as first, one.held(name) as again, other.held(name) as second, other.held(f"{name}!") as elsewhere:
        assert (first, again, second, elsewhere) == (True, False, False, True)
    assert await ends_at(pool, name) is None
    async with other.held(name) as later:
        assert later


async def test_a_lease_lasts_as_long_as_its_holder_works(pool: Pool, name: str) -> None:
    async with Leases(pool, SHORT).held(name) as ours:
        first, began = await ends_at(pool, name), time.monotonic()
        while time.monotonic() - began < 2 * SHORT:
            async with Leases(pool, SHORT).held(name) as taken:
                assert not taken
        assert ours
        assert await ends_at(pool, name) > first  # type: ignore[operator]  both are times


@asynccontextmanager
async def without_renewals(leases: Leases) -> AsyncIterator[Leases]:
    """As of a process that is stopped: it says nothing any more, and hears nothing."""

    async def say_nothing(*_: object) -> None:
        return None

    leases._renew = say_nothing  # type: ignore[method-assign]
    yield leases


async def test_a_holder_that_says_nothing_loses_its_lease_and_is_told_so(pool: Pool, name: str) -> None:
    async with without_renewals(Leases(pool, SHORT)) as stopped:
        with pytest.raises(Failure) as lost:
            async with stopped.held(name) as ours:
                assert ours
                await asyncio.Event().wait()
        assert lost.value.outage == "postgres"


async def test_a_holder_whose_lease_another_took_is_told_so_at_its_next_word_and_leaves_it_to_the_other(pool: Pool, name: str) -> None:
    """It was stopped for longer than the lease lasts, and goes on."""
    with pytest.raises(Failure, match="lease was lost"):
        async with asyncio.timeout(40), Leases(pool, SHORT).held(name) as ours:
            assert ours
            await pool.execute("UPDATE leases SET holder = 'another', expires_at = now() + interval '1 minute' WHERE name = $1", name)
            await asyncio.Event().wait()
    assert await pool.fetchval("SELECT holder FROM leases WHERE name = $1", name) == "another"
    await pool.execute("DELETE FROM leases WHERE name = $1", name)


async def test_a_lease_that_nobody_released_is_taken_when_its_time_is_over(pool: Pool, name: str) -> None:
    await pool.execute("INSERT INTO leases VALUES ($1, 'who was killed', now() + interval '1 minute')", name)
    async with Leases(pool).held(name) as ours:
        assert not ours
    await pool.execute("UPDATE leases SET expires_at = now() WHERE name = $1", name)
    async with Leases(pool).held(name) as ours:
        assert ours


async def test_of_many_that_find_a_lease_over_one_takes_it(pool: Pool, name: str) -> None:
    await pool.execute("INSERT INTO leases VALUES ($1, 'who was killed', now())", name)
    all_asked = asyncio.Barrier(10)

    async def take() -> bool:
        async with Leases(pool).held(name) as ours, asyncio.timeout(40):
            await all_asked.wait()  # it is kept until all have asked: one who asks later may rightly have it after us
            return ours

    assert sorted(await asyncio.gather(*(take() for _ in range(10)))) == [False] * 9 + [True]


async def test_what_goes_wrong_inside_is_raised_as_it_is_and_the_lease_is_free(pool: Pool, name: str) -> None:
    for error in (RuntimeError, TimeoutError, asyncio.CancelledError):
        with pytest.raises(error):
            async with Leases(pool).held(name) as ours:
                assert ours
                raise error
        assert await ends_at(pool, name) is None


async def test_a_database_that_is_away_for_longer_than_a_lease_ends_the_work(local: LocalServers, name: str) -> None:
    async with open_event_store(local.variables["DATABASE_URL"], lease_seconds=SHORT) as store:
        try:
            with pytest.raises(Failure) as lost:
                async with store.lease(name) as ours:
                    assert ours
                    await local.postgres.kill()
                    await asyncio.Event().wait()
            assert lost.value.outage == "postgres"
            with pytest.raises(Failure):
                async with store.lease(name):
                    raise AssertionError
        finally:
            await local.postgres.start()


async def test_who_is_cancelled_while_it_asks_leaves_no_lease_behind(pool: Pool, name: str) -> None:
    """The database may have given it already: nobody else should wait for it to end."""
    leases = Leases(pool)
    take, given = leases._sql.value, asyncio.Event()

    async def cut_off(*asked: object) -> object:
        answer = await take(*asked)  # type: ignore[arg-type]
        given.set()
        await asyncio.Event().wait()
        return answer

    leases._sql.value = cut_off  # type: ignore[method-assign]

    async def hold() -> None:
        async with leases.held(name):
            raise AssertionError

    task = asyncio.create_task(hold())
    await given.wait()
    assert await ends_at(pool, name) is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ends_at(pool, name) is None
