"""News on a real NATS: who listens hears of each job soon, few messages tell of many, and what nobody can hear is not kept."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client

from libs.common.domain.events import StageName
from libs.common.domain.news import MOST, SUBJECT, news_of
from libs.common.runtime.background import running
from libs.common.runtime.event_store import PostgresEventStore, Start
from libs.common.runtime.nats_connection import open_client
from libs.common.runtime.news import listen, telling
from libs.common.runtime.postgres import open_pool
from tests.builders import envelope, requested, started

Heard = asyncio.Queue[UUID]


@pytest.fixture
async def client(servers: dict[str, str]) -> AsyncIterator[Client]:
    async with open_client(servers["NATS_URL"], name="news") as client:
        async with asyncio.timeout(60):
            while not client.is_connected:
                await asyncio.sleep(0.01)
        yield client


@pytest.fixture
async def heard(client: Client) -> AsyncIterator[Heard]:
    """What is told from here on; the server knows of the listener by now."""
    jobs = Heard()

    def ring(news: Iterable[UUID]) -> None:
        for job in news:
            jobs.put_nowait(job)

    async with running(listen(client, ring)):
        await asyncio.sleep(0)
        await client.flush()
        yield jobs


async def until(heard: Heard, wanted: set[UUID]) -> None:
    """Others have news on this server too."""
    async with asyncio.timeout(20):
        while wanted:
            wanted.discard(await heard.get())


async def test_many_jobs_are_told_of_in_few_messages(client: Client, heard: Heard) -> None:
    jobs, sizes = {uuid4() for _ in range(2 * MOST + 1)}, list[int]()
    own = await client.subscribe(SUBJECT)
    async with telling(client) as told:
        for job in jobs:
            told(job)
            told(job)
        await until(heard, set(jobs))
    while sum(sizes) < len(jobs):
        news = news_of((await own.next_msg(timeout=20)).data)
        sizes.append(len(jobs.intersection(news.jobs)) if news else 0)
    await own.unsubscribe()
    assert [size for size in sizes if size] == [MOST, MOST, 1]


async def test_what_is_no_news_is_passed_over(client: Client, heard: Heard) -> None:
    job = uuid4()
    for body in (b"", b"\xff", b"[]", b'{"jobs":["x"]}', b"[" * 100_000, b'{"jobs":["%b"]}' % str(job).encode()):
        await client.publish(SUBJECT, body)
    await until(heard, {job})


async def test_news_that_nobody_can_hear_are_not_kept(client: Client, heard: Heard) -> None:
    job, later = uuid4(), uuid4()
    async with telling(Client()) as told:
        told(job)
    await client.publish(SUBJECT, b'{"jobs":["%b"]}' % str(later).encode())
    async with asyncio.timeout(20):
        while (told_of := await heard.get()) != later:
            assert told_of != job


async def test_the_store_tells_of_what_it_wrote_and_of_nothing_else(servers: dict[str, str]) -> None:
    opening, told = envelope(requested()), list[UUID]()
    job = opening.job_id
    start = Start(envelope(started(StageName.RESOLVER), job), after=opening.id)
    async with open_pool(servers["DATABASE_URL"], connections=1) as pool:
        store = PostgresEventStore(pool, told=told.append)
        await store.append(opening)
        assert told == [job]
        await store.append(opening)
        await store.history(job)
        assert told == [job]
        await store.begin(start)
        assert told == [job, job]
        await store.begin(Start(envelope(started(StageName.RESOLVER), job), after=opening.id))
        assert told == [job, job]
