"""Reading a stream without consuming it, and deleting from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from libs.common.domain.failures import Failure
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.stored_messages import Fill, StoredMessages
from tests.runtime.own_nats import connected_bus, own_nats


@pytest.fixture
async def bus(servers: dict[str, str], tmp_path: Path) -> AsyncIterator[JetStreamBus]:
    async with own_nats(servers, tmp_path) as own, connected_bus(own.variables["NATS_URL"]) as bus:
        await bus.js.add_stream(StreamConfig(name="TESTS", subjects=["t.>"]))
        yield bus


async def test_a_message_comes_whole_with_headers_that_are_not_ascii(bus: JetStreamBus) -> None:
    await bus.js.publish("t.a", b"\x00body", headers={"Clip-Error-Message": "à la carte", "Nats-Msg-Id": "1"})
    message = await StoredMessages(bus, "TESTS").get(1)
    assert message is not None
    assert (message.body, message.subject, message.sequence) == (b"\x00body", "t.a", 1)
    assert message.headers["Nats-Msg-Id"] == "1"
    assert message.headers["Clip-Error-Message"].endswith(" la carte")


async def test_a_walk_goes_by_subject_passes_gaps_and_ends_where_the_stream_ended_at_its_start(bus: JetStreamBus) -> None:
    stored = StoredMessages(bus, "TESTS")
    for n in range(6):
        await bus.js.publish("t.a" if n % 2 else "t.b", str(n).encode())
    await stored.delete(4)
    seen = []
    async for message in stored.walk("t.a", after=1):
        seen.append(message.sequence)
        await bus.js.publish("t.a", b"more")
    assert seen == [2, 6]


@pytest.mark.parametrize("count", [0, 1, 5, 100])
async def test_a_subject_is_gathered_whole_whatever_lies_between_its_messages(bus: JetStreamBus, count: int) -> None:
    stored = StoredMessages(bus, "TESTS")
    for n in range(2 * count):
        await bus.js.publish("t.a" if n % 2 else "t.b", str(n).encode())
    assert sorted(await stored.gather("t.a", lambda message: int(message.body))) == list(range(1, 2 * count, 2))
    await bus.js.purge_stream("TESTS")
    assert await stored.gather("t.a", lambda message: message.body) == []
    assert await stored.fill() == Fill()


async def test_a_streams_fill_says_what_it_holds_and_may_hold(bus: JetStreamBus) -> None:
    config = (await bus.js.stream_info("TESTS")).config
    await bus.js.update_stream(config.evolve(max_msgs=10, max_bytes=10_000))
    await bus.js.publish("t.a", bytes(100))
    found = await StoredMessages(bus, "TESTS").fill()
    assert (found.messages, found.most_messages, found.most_size) == (1, 10, 10_000)
    assert 100 < found.size < 200


async def test_what_is_not_there_is_none_and_counts_as_deleted(bus: JetStreamBus) -> None:
    stored = StoredMessages(bus, "TESTS")
    await bus.js.publish("t.a", b"")
    for _ in range(2):
        await stored.delete(1)
    await stored.delete(99)
    assert await stored.get(1) is None
    assert await stored.get(99) is None
    assert await stored.first("t.>") is None
    assert await stored.count() == 0


async def test_a_stream_that_is_not_there_is_no_empty_stream(bus: JetStreamBus) -> None:
    with pytest.raises(Failure):
        await StoredMessages(bus, "NOWHERE").get(1)
