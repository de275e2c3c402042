"""The faulty proxies are honest: without a fault nothing changes, with one exactly that changes, and it is counted."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from libs.common.domain.events import Envelope
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS
from libs.common.runtime import streams
from libs.common.runtime.event_store import open_event_store
from libs.common.runtime.jetstream import JetStreamBus
from tests.builders import envelope, requested
from tests.chaos.chain import Servers, real_servers
from tests.chaos.proxies.nats import Frame, NatsProxy, frames, is_ack, is_pub_ack, twin_of, without_ways_around
from tests.chaos.proxies.postgres import PostgresProxy
from tests.chaos.proxies.tcp import opened
from tests.runtime.own_nats import connected_bus


@pytest.fixture(scope="module")
async def own(servers: dict[str, str]) -> AsyncIterator[Servers]:
    async with real_servers(servers) as own, connected_bus(own.nats) as bus:
        await streams.ensure(bus.js, replicas=1)
        yield own


async def read(wire: bytes) -> list[Frame]:
    reader = asyncio.StreamReader()
    reader.feed_data(wire)
    reader.feed_eof()
    return [frame async for frame in frames(reader)]


@given(st.lists(st.binary(max_size=50)))
def test_what_is_read_as_frames_is_written_as_it_was(payloads: list[bytes]) -> None:
    wire = b"PING\r\n" + b"".join(b"PUB a.b %d\r\n%b\r\n" % (len(payload), payload) for payload in payloads)
    found = asyncio.run(read(wire))
    assert b"".join(frame.wire for frame in found) == wire
    assert [frame.body for frame in found[1:]] == payloads


def test_only_the_end_of_a_message_counts_as_its_ack() -> None:
    bodies = (b"", b"+ACK", b"+WPI", b"-NAK", b"+TERM no")
    assert [is_ack(Frame(b"PUB $JS.ACK.CLIPS.asr.1.1.1.0.0 %d" % len(body), body)) for body in bodies] == [True, True, False, False, False]
    assert not is_ack(Frame(b"PUB elsewhere 0"))


def test_only_the_streams_own_word_counts_as_a_pub_ack() -> None:
    answers = (b'{"stream":"CLIPS","seq":1}', b'{"type":"io.nats.jetstream.api.v1.x","stream":"CLIPS","seq":1}', b'{"seq":1}', b"")
    assert [is_pub_ack(Frame(b"MSG _INBOX.a 1 %d" % len(answer), answer)) for answer in answers] == [True, False, False, False]


def test_a_twin_has_another_id_the_same_body_and_sizes_that_are_right() -> None:
    payload = b"NATS/1.0\r\nNats-Msg-Id: j:e:1\r\nClip-Job-Id: j\r\n\r\nbody"
    twin = twin_of(Frame(b"HPUB source.ready _INBOX.x %d %d" % (len(payload) - 4, len(payload)), payload))
    assert twin.line == b"HPUB source.ready %d %d" % (len(payload) + 1, len(payload) + 5)
    assert (twin.body, b"Nats-Msg-Id: twin:j:e:1\r\n" in twin.payload) == (b"body", True)


def test_a_client_learns_no_way_around() -> None:
    assert without_ways_around(Frame(b'INFO {"port":1,"connect_urls":["a:1"]}')).line == b'INFO {"port": 1, "connect_urls": []}'


async def test_without_a_fault_a_message_passes_whole(own: Servers) -> None:
    async with opened(NatsProxy(own.nats, seed=1)) as proxy, connected_bus(proxy.url) as bus:
        proxy.delay = 0.005
        opening = envelope(requested(metadata={"text": "x" * 20000 + "\r\n"}))
        assert await bus.publish(opening)
        assert not await bus.publish(opening)
        stored = await bus.js.get_last_msg(CLIPS, "clips.requested")
        assert (stored.headers or {})["Clip-Job-Id"] == str(opening.job_id)
        assert b"x" * 20000 in (stored.data or b"")
    assert proxy.counts.total() == 0


async def test_a_lost_pub_ack_is_a_message_stored_and_not_confirmed(own: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.jetstream.PUBLISH_TIMEOUT", 0.2)
    async with opened(NatsProxy(own.nats, seed=1, pub_ack=1.0)) as proxy, connected_bus(proxy.url) as bus:
        opening = envelope(requested())
        with pytest.raises(Failure):
            await bus.publish(opening)
        assert (await last_id(bus), proxy.counts["pub_ack"]) == (f"{opening.job_id}:clips.requested:1", 1)


async def test_every_work_message_is_in_the_stream_twice(own: Servers) -> None:
    async with opened(NatsProxy(own.nats, seed=1, twin=1.0)) as proxy, connected_bus(proxy.url) as bus:
        opening = envelope(requested())
        await bus.publish(opening)
        await bus.publish(opening)
        await bus.ping()
        assert await last_id(bus) == f"twin:{opening.job_id}:clips.requested:1"
        assert proxy.counts["twin"] == 2


async def last_id(bus: JetStreamBus) -> str:
    return ((await bus.js.get_last_msg(CLIPS, "clips.requested")).headers or {})["Nats-Msg-Id"]


async def test_a_lost_ack_is_never_confirmed_and_the_message_stays(own: Servers) -> None:
    async with opened(NatsProxy(own.nats, seed=1, ack=1.0)) as proxy, connected_bus(proxy.url) as bus:
        await bus.js.publish("asr.done", b"work")
        [message] = await (await bus.js.pull_subscribe_bind("burner", CLIPS)).fetch(1)
        with pytest.raises(nats.errors.TimeoutError):
            await message.ack_sync(timeout=0.2)
        assert (await bus.js.consumer_info(CLIPS, "burner")).num_ack_pending == 1
        proxy.chance.clear()
        await message.ack_sync()
        assert (await bus.js.consumer_info(CLIPS, "burner")).num_ack_pending == 0


async def test_a_cut_connection_is_made_again_by_way_of_the_proxy(own: Servers) -> None:
    async with opened(NatsProxy(own.nats, seed=1)) as proxy, connected_bus(proxy.url) as bus:
        proxy.cut_all()
        async with asyncio.timeout(40):
            while not (bus.client.stats["reconnects"] and bus.client.is_connected):
                await asyncio.sleep(0.01)
        assert await bus.publish(envelope(requested()))


async def test_a_frozen_link_is_open_and_silent_and_a_new_one_passes(own: Servers) -> None:
    async with opened(NatsProxy(own.nats, seed=1)) as proxy, connected_bus(proxy.url) as bus:
        proxy.freeze()
        with pytest.raises(nats.errors.FlushTimeoutError):
            await bus.client.flush(timeout=1)
        assert bus.client.is_connected
        other = Client()
        await other.connect(proxy.url)
        await other.flush(timeout=3)
        await other.close()


async def test_a_half_open_link_is_noticed_within_twenty_seconds_and_replaced(own: Servers) -> None:
    """Findings B1. The client's own interval, a twentieth of it: the number of silent intervals is what is measured."""
    async with opened(NatsProxy(own.nats, seed=1)) as proxy, connected_bus(proxy.url) as bus:
        real = bus.client.options["ping_interval"]
        scaled = bus.client.options["ping_interval"] = real / 20
        proxy.cut_all()
        await reconnections(bus, 1)
        loop, frozen = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        proxy.freeze()
        await reconnections(bus, 2)
        intervals = (loop.time() - frozen) // scaled
        assert intervals * real <= 20
        assert await bus.publish(envelope(requested()))


async def reconnections(bus: JetStreamBus, count: int) -> None:
    async with asyncio.timeout(60):
        while not (bus.client.stats["reconnects"] >= count and bus.client.is_connected):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(4))
async def test_a_cut_around_the_commit_loses_the_event_or_only_the_news_of_it(own: Servers, seed: int) -> None:
    async with opened(PostgresProxy(own.postgres, seed=seed, left=1)) as proxy, open_event_store(proxy.url) as store:
        opening = envelope(requested())
        await store.ping()
        with pytest.raises(Failure):
            await store.append(opening)
        stored = [opening] if proxy.counts["after"] else []
        assert proxy.counts["after"] + proxy.counts["before"] == 1
        assert await store.history(opening.job_id) == stored
        assert (await store.append(opening)).envelope == opening
        assert await store.history(opening.job_id) == [opening]


async def test_both_sides_of_the_commit_are_cut_and_only_so_often(own: Servers) -> None:
    async with opened(PostgresProxy(own.postgres, seed=7, left=12, every=2)) as proxy, open_event_store(proxy.url) as store:
        openings = [envelope(requested()) for _ in range(30)]
        for opening in openings:
            await appended(store, opening)
        connection = await asyncpg.connect(own.postgres)
        rows = await connection.fetchval("SELECT count(*) FROM job_events WHERE event_id = ANY($1)", [o.id for o in openings])
        await connection.close()
    assert rows == 30
    assert proxy.counts["before"] + proxy.counts["after"] == 12
    assert min(proxy.counts["before"], proxy.counts["after"]) >= 3


async def appended(store, opening: Envelope) -> None:
    while True:
        try:
            await store.append(opening)
        except Failure:
            continue
        return
