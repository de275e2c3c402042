"""Whose webhook is next: no tenant and no host has more than its places, and nobody with slow receivers holds up another tenant."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from services.api.webhooks.turns import PER_HOST, PER_TENANT, PLACES, Busy, Full, Waiting, chosen
from tests.api.webhook_post import Desk, ended, post_office, receiving, turned

NAMES = st.sampled_from("abcdefgh")
PAIRS = st.tuples(NAMES, NAMES)
HOSTILE_HOSTS = 30


def waiting(*whose: tuple[str, str]) -> list[Waiting]:
    return [Waiting(uuid4(), tenant, host) for tenant, host in whose]


def begun(found: list[Waiting], busy: Busy) -> list[Waiting]:
    by_id = {one.id: one for one in found}
    return [by_id[chosen_id] for chosen_id in chosen(found, busy)]


@given(st.lists(PAIRS, max_size=200), st.lists(PAIRS, max_size=PLACES))
def test_nobody_has_more_than_its_places_and_none_is_left_empty_without_need(
    whose: list[tuple[str, str]], had: list[tuple[str, str]]
) -> None:
    found, busy = waiting(*whose), Busy.of(had)
    begin = begun(found, busy)
    tenants = busy.tenants + Counter(one.tenant for one in begin)
    hosts = busy.hosts + Counter(one.host for one in begin)
    for one in begin:
        assert tenants[one.tenant] <= PER_TENANT
        assert hosts[one.host] <= PER_HOST
    assert tenants.total() <= PLACES
    for one in set(found) - set(begin):
        assert tenants.total() == PLACES or tenants[one.tenant] >= PER_TENANT or hosts[one.host] >= PER_HOST


@given(st.lists(PAIRS, max_size=200))
def test_a_hosts_webhooks_keep_their_order(whose: list[tuple[str, str]]) -> None:
    found = waiting(*whose)
    begin = begun(found, Busy.of([]))
    for pair in set(whose):
        own = [one for one in found if (one.tenant, one.host) == pair]
        taken = [one for one in begin if (one.tenant, one.host) == pair]
        assert taken == own[: len(taken)]


def test_the_places_go_round_among_tenants_and_first_to_those_that_have_fewest() -> None:
    found = waiting(*[("loud", f"h{number}") for number in range(100)], ("quiet", "q"), ("calm", "c"))
    assert Counter(one.tenant for one in begun(found, Busy.of([]))) == {"loud": PER_TENANT, "quiet": 1, "calm": 1}
    almost = Busy.of([("loud", "x")] + [(f"t{number}", f"x{number}") for number in range(PLACES - 2)])
    assert begun(found, almost)[0].tenant == "quiet"


def test_who_is_full_is_named() -> None:
    had = [("a", "x")] * PER_HOST + [("a", f"h{number}") for number in range(PER_TENANT - PER_HOST)] + [("b", "y")]
    assert Busy.of(had).full == Full(["a"], ["x"])


@pytest.fixture
async def desk(webhook_database: str) -> AsyncIterator[Desk]:
    async with post_office(webhook_database) as desk:
        for tenant in ("hostile", "honest"):
            await desk.secrets.make(tenant, desk.clock())
        yield desk


async def test_many_slow_receivers_of_one_tenant_hold_up_no_other_one(desk: Desk) -> None:
    held = asyncio.Event()

    async def slow() -> web.Response:
        await held.wait()
        return web.Response(status=500)

    async with (
        receiving(slow, host="0.0.0.0") as bad,  # noqa: S104  every loopback address is another host
        receiving(200, host="127.0.0.9") as good,
        desk.sending(bad, good, seconds=30) as sender,
    ):
        port = urlsplit(bad.url).port
        hosts = [f"http://127.0.1.{number}:{port}/" for number in range(1, HOSTILE_HOSTS + 1)]
        await desk.order(*(ended(host, tenant="hostile") for host in hosts * 4))
        while await sender.turn():
            pass
        await desk.order(ended(good.url, tenant="honest"))
        assert await sender.turn() == 1
        async with asyncio.timeout(20):
            while not good.heard:
                await asyncio.sleep(0.01)
        assert bad.at_once <= PER_TENANT
        held.set()
        await sender.settled()


async def test_a_full_host_is_passed_over_however_much_waits_for_it(desk: Desk) -> None:
    async with receiving(200) as receiver, desk.sending(receiver) as sender:
        await desk.order(*(ended("https://slow.test/", tenant="honest") for _ in range(100)))
        job = ended(receiver.url, tenant="honest", at=desk.clock())
        await desk.order(job)
        left = await desk.deliveries.waiting(desk.clock(), Full([], ["slow.test"]), PLACES)
        assert [(one.tenant, one.host) for one in left] == [("honest", "127.0.0.1")]
        assert await desk.deliveries.waiting(desk.clock(), Full(["honest"], []), PLACES) == []
        await desk.pool.execute("DELETE FROM webhook_deliveries WHERE host = 'slow.test'")
        assert await turned(sender) == 1


async def test_what_two_senders_have_chosen_one_takes(desk: Desk) -> None:
    await desk.order(*(ended("https://a.test/", tenant="honest") for _ in range(20)))
    ids = [one.id for one in await desk.deliveries.waiting(desk.clock(), Full([], []), PLACES)]
    takes = await asyncio.gather(*(desk.deliveries.take(desk.clock(), ids) for _ in range(4)))
    assert sorted(due.id for taken in takes for due in taken) == sorted(ids)


async def test_while_nothing_is_due_a_look_costs_as_little_with_many_hosts_as_with_none(desk: Desk) -> None:
    """By what Postgres reads: rows of the table looked at, not milliseconds."""
    await desk.pool.execute(
        "INSERT INTO webhook_deliveries (id, job_id, run, tenant, type, url, host, body, created_at, due_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 1, 'hostile', 'job.done', '', 'h' || n || '.test', '', now(), now() + interval '3 h'"
        " FROM generate_series(1, 10000) n"
    )
    await desk.pool.execute("ANALYZE webhook_deliveries")
    async with desk.pool.acquire() as connection, connection.transaction():
        before = await connection.fetchval(READ)
        statement = desk.deliveries._sql["waiting"]
        assert await connection.fetch(statement, desk.clock(), [], [], PLACES, 64) == []
        assert await connection.fetchval(READ) - before < 100
        await connection.fetch("SELECT DISTINCT host FROM webhook_deliveries")
        assert await connection.fetchval(READ) - before >= 10000


READ = """
SELECT pg_stat_get_xact_tuples_returned('webhook_deliveries'::regclass) + pg_stat_get_xact_tuples_fetched('webhook_deliveries'::regclass)
     + sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'webhook_deliveries'::regclass
"""
