"""How often one may ask: together over all replicas, told with every answer, and never the reason of an outage."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack

import httpx

from services.api.caller import Caller, Scope
from services.api.rate_limits import Allowance, RateLimits
from tests.api.conftest import Running, running
from tests.api.keyed import Client, client, keyed
from tests.api.test_jobs import code_of
from tests.api.test_keys import Clock
from tests.thorough import IS_THOROUGH

NOWHERE = "postgresql://x:x@127.0.0.1:9/x"
WRITE = {"method": "POST", "url": "/api/jobs", "content": b"{"}
"""Refused after it was counted, and costs nothing more."""


def told(answer: httpx.Response) -> tuple[int, int]:
    """Limit and what remains."""
    assert answer.headers["ratelimit-policy"].startswith(f"{answer.headers['ratelimit-limit']};w=")
    assert int(answer.headers["ratelimit-reset"]) >= 1
    return int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])


async def test_a_client_is_told_what_remains_and_then_when_to_come_back(api: Running) -> None:
    async with keyed(api, RATE_LIMIT_MAX="3", RATE_LIMIT_WINDOW_SEC="60") as (http, to):
        made = await client(to.pool, Scope.WRITE, Scope.READ)
        answers = [await http.request(**WRITE, headers=made.headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]
        assert [told(answer) for answer in answers] == [(3, 2), (3, 1), (3, 0), (3, 0), (3, 0)]
        assert code_of(answers[-1]) == (429, "RATE_LIMITED", None)
        assert answers[-1].headers["ratelimit-policy"] == "3;w=60"
        assert 50 <= int(answers[-1].headers["retry-after"]) == int(answers[-1].headers["ratelimit-reset"]) <= 60
        reading = await http.get("/api/jobs/x", headers=made.headers)
        assert reading.status_code == 404
        assert "ratelimit-limit" not in reading.headers


async def test_a_key_may_have_a_limit_of_its_own(api: Running) -> None:
    async with keyed(api, RATE_LIMIT_MAX="2") as (http, to):
        made = {limit: await client(to.pool, Scope.WRITE, rate_limit=limit) for limit in (1, 4, 0, None)}
        counts = {limit: await passed(http, made[limit], 6) for limit in made}
    assert counts == {1: 1, 4: 4, 0: 6, None: 2}


async def passed(http: httpx.AsyncClient, made: Client, count: int) -> int:
    answers = [await http.request(**WRITE, headers=made.headers) for _ in range(count)]
    return sum(answer.status_code != 429 for answer in answers)


async def test_made_up_addresses_do_not_get_round_the_limit_of_three_replicas(api: Running) -> None:
    limit, batches = (100, 20) if IS_THOROUGH else (30, 4)
    settings = {"RATE_LIMIT_MAX": str(limit), "RATE_LIMIT_WINDOW_SEC": "600"}
    await api.to.pool.execute("DELETE FROM rate_windows")
    async with AsyncExitStack() as stack:
        replicas = [(await stack.enter_async_context(running(api.environ, **settings)))[0] for _ in range(3)]

        async def asked(number: int) -> int:
            made_up = ".".join(str(random.randrange(256)) for _ in range(4))
            return (await replicas[number % 3].request(**WRITE, headers={"x-forwarded-for": made_up})).status_code

        statuses: Counter[int] = Counter()
        for batch in range(batches):
            statuses.update(await asyncio.gather(*(asked(batch * 50 + number) for number in range(50))))
    assert statuses == {400: limit, 429: batches * 50 - limit}


async def test_clients_of_a_trusted_proxy_have_a_limit_each(api: Running) -> None:
    await api.to.pool.execute("DELETE FROM rate_windows")
    async with running(api.environ, RATE_LIMIT_MAX="1", TRUSTED_PROXIES="127.0.0.1") as (http, _):
        for address, expected in (("203.0.113.1", 400), ("203.0.113.2", 400), ("203.0.113.1", 429), ("9.9.9.9, 203.0.113.2", 429)):
            assert (await http.request(**WRITE, headers={"x-forwarded-for": address})).status_code == expected, address


async def test_a_window_ends_and_a_new_one_begins_with_the_next_request(api: Running) -> None:
    caller, clock = Caller(client="window", rate_limit=2), Clock()
    limits = RateLimits(api.to.pool, 60, clock)
    used = [await spent(limits, caller) for _ in range(4)]
    assert used == [1, 2, 3, 3]  # the last from memory
    await api.to.pool.execute("UPDATE rate_windows SET ends_at = now() - interval '1 second' WHERE client = 'window'")
    assert await spent(limits, caller) == 3
    clock.seconds += 61
    assert await spent(limits, caller) == 1


async def spent(limits: RateLimits, caller: Caller) -> int:
    allowance = await limits.count(caller)
    assert allowance
    return allowance.used


async def test_who_is_refused_costs_the_database_nothing_until_the_window_ends(api: Running) -> None:
    caller = Caller(client="refused", rate_limit=1)
    limits = RateLimits(api.to.pool, 60)
    for _ in range(10):
        await limits.count(caller)
    assert await api.to.pool.fetchval("SELECT used FROM rate_windows WHERE client = 'refused'") == 2


async def test_two_at_once_never_share_a_place(api: Running) -> None:
    limits = [RateLimits(api.to.pool, 60) for _ in range(3)]
    caller = Caller(client="together", rate_limit=1000)
    counted = await asyncio.gather(*(limits[number % 3].count(caller) for number in range(60)))
    assert sorted(allowance.used for allowance in counted if allowance) == list(range(1, 61))


async def test_while_the_database_is_away_nobody_is_counted_and_the_job_says_so_itself(api: Running) -> None:
    async with running(api.environ, DATABASE_URL=NOWHERE, RATE_LIMIT_MAX="1") as (http, _):
        answers = [await http.request(**WRITE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400] * 3
    assert "ratelimit-limit" not in answers[0].headers


async def test_old_windows_are_swept(api: Running) -> None:
    limits = RateLimits(api.to.pool, 60)
    for name in ("old", "new"):
        await limits.count(Caller(client=name, rate_limit=1))
    await api.to.pool.execute("UPDATE rate_windows SET ends_at = now() - interval '1 second' WHERE client = 'old'")
    await limits.sweep()
    left = {row["client"] for row in await api.to.pool.fetch("SELECT client FROM rate_windows")}
    assert "new" in left
    assert "old" not in left


def test_whoever_waits_as_long_as_told_comes_after_the_windows_end() -> None:
    assert dict(Allowance(30, 60, 31, 12.3).headers())[b"ratelimit-reset"] == b"13"
    assert Allowance(30, 60, 31, 0.0).refusal().retry_after == 1
