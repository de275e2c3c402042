"""Three replicas: production starts on them and on nothing less, and goes on while leaders are killed under it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.api import ClusterInfo, DiscardPolicy

from libs.common.domain.failures import Failure
from libs.common.runtime import streams
from libs.common.runtime.jetstream import JetStreamBus, open_bus
from libs.common.runtime.nats_connection import Login, addresses_and_login
from libs.common.runtime.settings import CommonSettings, Secret
from tests.chaos.cluster import leaders_killed
from tests.runtime.nats_cluster import NODES, NatsCluster, answered, nats_cluster
from tests.runtime.own_nats import connected_bus
from tests.thorough import IS_THOROUGH

Breach = Callable[[JetStreamContext], Awaitable[object]]
LEADER = 2
"""Of the choices, which then begin with the leader."""
BOOTSTRAP = "run python -m libs.common.runtime.bootstrap"


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsCluster]:
    async with nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def bus(cluster: NatsCluster) -> AsyncIterator[JetStreamBus]:
    async with connected_bus(cluster.url) as bus:
        await answered(lambda: streams.ensure(bus.js, replicas=NODES))
        await caught_up(bus.js)
        await cluster.settled()
        yield bus


async def caught_up(js: JetStreamContext) -> None:
    """A stream that had one replica has three only when they hold what it holds; until then its one server must not be killed."""
    streams_told = [partial(js.stream_info, name) for name in ("CLIPS", "DLQ", "ADVISORIES")]
    consumers_told = [partial(js.consumer_info, "CLIPS", str(consumer.durable_name)) for consumer in streams.wanted_consumers()]
    async with asyncio.timeout(90):
        for tell in (*streams_told, *consumers_told):
            while not is_whole((await answered(tell)).cluster):
                await asyncio.sleep(0.05)


def is_whole(cluster: ClusterInfo | None) -> bool:
    followers = (cluster.replicas if cluster else None) or []
    return len(followers) == NODES - 1 and all(follower.current and not follower.lag for follower in followers)


def production(monitors: list[str], **given: object) -> CommonSettings:
    return CommonSettings(
        database_url=Secret(""),
        nats_url=Secret(""),
        environment="production",
        nats_monitor_urls=",".join(monitors),
        **{"stream_replicas": 3, **given},  # type: ignore[arg-type]
    )


async def problems(js: JetStreamContext, settings: CommonSettings) -> list[str]:
    return await answered(lambda: streams.problems(js, settings))


async def test_production_starts_on_three_replicas_that_sync_always(cluster: NatsCluster, bus: JetStreamBus) -> None:
    assert await problems(bus.js, production(cluster.monitors)) == []


async def stream_with(js: JetStreamContext, **change: object) -> None:
    await js.update_stream((await js.stream_info("CLIPS")).config.evolve(**change))


async def consumer_with(js: JetStreamContext, **change: object) -> None:
    await js.add_consumer("CLIPS", (await js.consumer_info("CLIPS", "clipper")).config.evolve(**change))


BREACHES: list[tuple[Breach, str]] = [
    (lambda js: stream_with(js, num_replicas=1), "stream CLIPS: num_replicas is 1, it must be 3"),
    (lambda js: stream_with(js, max_age=3600.0), "stream CLIPS: max_age is 3600.0, it must be 0.0"),
    (lambda js: stream_with(js, discard=DiscardPolicy.OLD), "stream CLIPS: discard is old, it must be new"),
    (lambda js: js.delete_consumer("CLIPS", "clipper"), f"consumer clipper is missing: {BOOTSTRAP}"),
    (lambda js: consumer_with(js, ack_wait=5.0), "consumer clipper: ack_wait is 5.0, it must be 30.0"),
    (lambda js: consumer_with(js, max_deliver=3), "consumer clipper: max_deliver is 3, it must be 20"),
    (lambda js: js.delete_stream("DLQ"), f"stream DLQ is missing: {BOOTSTRAP}"),
]


@pytest.mark.parametrize(("breach", "named"), BREACHES, ids=[named for _, named in BREACHES])
async def test_production_names_the_one_rule_that_is_broken(cluster: NatsCluster, bus: JetStreamBus, breach: Breach, named: str) -> None:
    await breach(bus.js)
    assert await problems(bus.js, production(cluster.monitors)) == [named]


async def test_production_wants_three_replicas_and_a_look_at_every_server_whatever_its_settings_ask_for(
    cluster: NatsCluster, bus: JetStreamBus
) -> None:
    one = production(cluster.monitors[:1], stream_replicas=1)
    assert await problems(bus.js, one) == ["NATS_MONITOR_URLS names 1 servers, it must name all: only there they show that they sync"]
    await stream_with(bus.js, num_replicas=1)
    assert "stream CLIPS: num_replicas is 1, it must be 3" in await problems(bus.js, one)
    await bus.js.delete_stream("CLIPS")  # a new one is whole sooner than one that gets its replicas back


async def test_one_server_of_three_that_does_not_sync_always_is_named(tmp_path: Path) -> None:
    async with nats_cluster(tmp_path, sync=("always", "2m", "always")) as cluster, connected_bus(cluster.url) as bus:
        await answered(lambda: streams.ensure(bus.js, replicas=NODES))
        assert await problems(bus.js, production(cluster.monitors)) == [f"server {cluster.monitors[1]}: sync_interval must be always"]


async def test_a_client_that_was_told_of_one_server_goes_on_with_the_others(cluster: NatsCluster, bus: JetStreamBus) -> None:
    """The addresses that a cluster tells of bear no login: a client that had its own from the URL alone would be refused there."""
    [first, *_] = cluster.nodes
    async with connected_bus(first.url) as told_of_one:
        await first.kill()
        try:
            async with asyncio.timeout(60):
                while not await takes_work(told_of_one):
                    await asyncio.sleep(0.05)
        finally:
            await cluster.start()


async def test_a_cluster_without_a_leader_is_away_though_its_servers_answer(cluster: NatsCluster, bus: JetStreamBus) -> None:
    [left, *others] = cluster.nodes
    async with open_bus(left.url, name="left") as at_the_last:
        async with asyncio.timeout(40):
            while not await takes_work(at_the_last):
                await asyncio.sleep(0.05)
        await asyncio.gather(*(node.kill() for node in others))
        async with asyncio.timeout(60):
            while await takes_work(at_the_last):
                await asyncio.sleep(0.2)
        await cluster.start()
        async with asyncio.timeout(60):
            while not await takes_work(at_the_last):
                await asyncio.sleep(0.05)


async def takes_work(bus: JetStreamBus) -> bool:
    try:
        await bus.ping()
    except Failure as failure:
        return failure.outage != "nats"
    return True


async def test_every_job_gets_its_one_answer_while_leaders_are_killed() -> None:
    figures = await leaders_killed(2 if IS_THOROUGH else 1, seed=LEADER, rolling=False)
    assert figures.is_exact, figures
    assert figures.jobs > 10


@pytest.mark.parametrize(
    ("url", "addresses", "login"),
    [
        ("nats://me:p%40ss@a:1, b:2", ["nats://a:1", "nats://b:2"], Login(user="me", password="p@ss")),
        ("tls://token@a:1", ["tls://a:1"], Login(token="token")),
        ("nats://a:1,nats://me:x@b:2", ["nats://a:1", "nats://b:2"], Login(user="me", password="x")),
        ("nats://[::1]:4222", ["nats://[::1]:4222"], Login()),
    ],
)
def test_the_login_of_an_address_is_the_login_of_all(url: str, addresses: list[str], login: Login) -> None:
    assert addresses_and_login(url) == (addresses, login)
