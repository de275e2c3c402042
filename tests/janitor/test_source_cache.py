"""Fetched sources go when their time is up, objects before rows, and what nobody names goes too. On real Postgres and S3."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from prometheus_client import REGISTRY

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import running
from libs.common.runtime.object_store import Bucket, open_object_store
from libs.common.runtime.source_cache import Claimed, Fetched, PostgresSourceCache, Section, open_source_cache
from services.janitor.report import Report
from services.janitor.source_cache import PREFIX, Eviction, evict_sources
from tests.janitor.conftest import World
from tests.janitor.steps import until
from tests.janitor.storage import is_ours

TEN = Section(10, 20)
A_JOB_S_OWN = "sources/8c5f6a53-6bb1-4a11-9d0a-1a4c2cf0a1a1/source.mp4"


@pytest.fixture
def world(emptied: World) -> World:
    return emptied


@pytest.fixture
async def cache(world: World) -> AsyncIterator[PostgresSourceCache]:
    """Empty, as is its part of the bucket."""
    url = world.settings.database_url.reveal()
    connection = await asyncpg.connect(url)
    await connection.execute("TRUNCATE source_fetches")
    await connection.close()
    await world.objects.sources.delete(await keys(world.objects.sources))
    async with open_source_cache(url, holder="tests") as cache:
        yield cache


def eviction(
    world: World, cache: PostgresSourceCache, *, after: timedelta = timedelta(0), grace: float = 0, **settings: object
) -> Eviction:
    """As it acts `after` that time from now."""
    changed = msgspec.structs.replace(world.settings, **{"cleanup_pause_ms": 1} | settings)
    return Eviction(cache, world.objects.sources, changed, is_ours, grace, now=lambda: datetime.now(UTC) + after)


async def keys(bucket: Bucket, prefix: str = PREFIX) -> list[str]:
    return [found.key async for found in bucket.list(prefix)]


async def uploaded(world: World, fetch_id: UUID) -> str:
    key = f"{PREFIX}{fetch_id}.mp4"
    await world.objects.sources.put(key, b"s", "video/mp4")
    return key


async def kept(world: World, cache: PostgresSourceCache, *, ttl: float, source: bytes | None = None) -> str:
    """A source in the cache; its object's key."""
    fetch_id = uuid4()
    assert await cache.claim(fetch_id, source or fetch_id.bytes * 2, TEN, 30) == Claimed(fetch_id)
    key = await uploaded(world, fetch_id)
    assert await cache.finish(fetch_id, Fetched(TEN, key, b"{}"), ttl)
    return key


async def rows(cache: PostgresSourceCache) -> int:
    return int(await cache._sql._pool.fetchval("SELECT count(*) FROM source_fetches"))


def counted() -> float:
    return REGISTRY.get_sample_value("clip_cached_sources_expired_total") or 0


async def test_a_source_goes_when_its_time_is_up_and_a_young_one_stays(world: World, cache: PostgresSourceCache) -> None:
    old, young, before = await kept(world, cache, ttl=0), await kept(world, cache, ttl=60), counted()
    await world.objects.sources.copy(old, A_JOB_S_OWN)
    await eviction(world, cache).clean_up()
    assert await keys(world.objects.sources) == [young]
    assert await cache.named([old, young]) == {young}
    assert counted() == before + 1
    assert await keys(world.objects.sources, A_JOB_S_OWN) == [A_JOB_S_OWN]


async def test_a_transcript_which_has_no_object_goes_when_its_time_is_up(world: World, cache: PostgresSourceCache) -> None:
    before = counted()
    for ttl in (0, 60):
        fetch_id = uuid4()
        await cache.claim(fetch_id, fetch_id.bytes * 2, Section(), 30)
        assert await cache.finish(fetch_id, Fetched(Section(), None, b"{}"), ttl)
    await eviction(world, cache).clean_up()
    assert (await rows(cache), counted()) == (1, before)


async def test_what_has_just_expired_stays_for_the_job_that_was_given_it(world: World, cache: PostgresSourceCache) -> None:
    key = await kept(world, cache, ttl=0)
    await eviction(world, cache, grace=60).clean_up()
    assert await keys(world.objects.sources) == [key]
    assert await cache.named([key]) == {key}


async def test_more_than_one_batch_holds_all_goes_and_again_is_harmless(world: World, cache: PostgresSourceCache) -> None:
    for _ in range(5):
        await kept(world, cache, ttl=0)
    for _ in range(2):
        await eviction(world, cache, cleanup_batch_size=2).clean_up()
        assert (await rows(cache), await keys(world.objects.sources)) == (0, [])


async def test_a_row_whose_object_is_gone_already_goes(world: World, cache: PostgresSourceCache) -> None:
    key = await kept(world, cache, ttl=0)
    await world.objects.sources.delete([key])
    await eviction(world, cache).clean_up()
    assert await rows(cache) == 0


async def test_failures_and_abandoned_fetches_go_and_a_fetch_under_way_stays(world: World, cache: PostgresSourceCache) -> None:
    failed, abandoned, under_way = uuid4(), uuid4(), uuid4()
    for fetch_id, lease in ((failed, 30), (abandoned, 0), (under_way, 30)):
        await cache.claim(fetch_id, fetch_id.bytes * 2, TEN, lease)
    await cache.fail(failed, Failure(Code.NOT_FOUND, "gone"))
    await eviction(world, cache).clean_up()
    assert await rows(cache) == 1
    assert await cache.hold(under_way, 30)


async def test_an_abandoned_fetch_that_its_holder_took_up_again_stays(world: World, cache: PostgresSourceCache) -> None:
    fetch_id = uuid4()
    await cache.claim(fetch_id, fetch_id.bytes * 2, TEN, 0)
    [spent] = await cache.expired(0, 10)
    assert await cache.hold(fetch_id, 30)
    await cache.remove([spent.fetch_id])
    assert await cache.hold(fetch_id, 30)


async def test_an_object_that_nothing_names_goes_when_it_is_old(world: World, cache: PostgresSourceCache) -> None:
    named, orphan, before = await kept(world, cache, ttl=9000), await uploaded(world, uuid4()), counted()
    await eviction(world, cache).clean_up()
    assert await keys(world.objects.sources) == sorted([named, orphan])
    await eviction(world, cache, after=timedelta(minutes=61)).clean_up()
    assert await keys(world.objects.sources) == [named]
    assert counted() == before + 1


async def test_a_dry_run_deletes_nothing(world: World, cache: PostgresSourceCache) -> None:
    there = sorted([await kept(world, cache, ttl=0), await uploaded(world, uuid4())])
    found = await eviction(world, cache, after=timedelta(minutes=61), cleanup_dry_run=True).clean_up()
    assert found.counts == {"fetched sources": 1, "fetched sources that nothing names": 1}
    assert (await rows(cache), await keys(world.objects.sources)) == (1, there)


async def test_a_row_stays_while_its_object_cannot_be_deleted(world: World, cache: PostgresSourceCache) -> None:
    key = await kept(world, cache, ttl=0)
    elsewhere = msgspec.structs.replace(world.settings, s3_sources_bucket="clipstream-of-nobody")
    async with open_object_store(elsewhere) as objects:
        assert await Eviction(cache, objects.sources, world.settings, is_ours, grace=0).clean_batch(Report()) == 0
    assert await cache.named([key]) == {key}


async def test_the_task_evicts_again_and_again(world: World, cache: PostgresSourceCache) -> None:
    settings = msgspec.structs.replace(world.settings, retention_every_sec=0.05)

    async def is_empty() -> bool:
        return await rows(cache) == 0

    async with running(evict_sources(settings, world.c)):
        for _ in range(2):
            await cache.claim(uuid4(), uuid4().bytes * 2, TEN, -1000)
            await until(is_empty)
