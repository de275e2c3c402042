"""Whether a stream can be written: told by a message that is really stored, and that nobody ever takes for work."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from libs.common.domain.dead_letters import ListRequest
from libs.common.domain.subjects import CLIPS, DLQ, canary
from libs.common.runtime import streams
from libs.common.runtime.jetstream import JetStreamBus
from libs.common.runtime.lane_loads import lane_loads
from libs.common.runtime.stored_messages import StoredMessages
from services.janitor.canary import Canaries
from services.janitor.letters import Letters
from tests.builders import requested
from tests.janitor.conftest import World
from tests.janitor.steps import job_with, publish_long_ago
from tests.runtime.nats_cluster import NatsCluster, nats_cluster
from tests.runtime.own_nats import connected_bus
from tests.runtime.test_write_dead_stream import break_writing, restart

BOTH = (CLIPS, DLQ)


def up(stream: str) -> float | None:
    return REGISTRY.get_sample_value("clip_canary_up", {"stream": stream})


def confirmed(stream: str) -> float:
    return REGISTRY.get_sample_value("clip_canary_seconds_count", {"stream": stream}) or 0.0


async def stored(bus: JetStreamBus, stream: str) -> int:
    return int((await bus.js.stream_info(stream)).state.messages)


async def limit(bus: JetStreamBus, stream: str, messages: int) -> None:
    config = (await bus.js.stream_info(stream)).config
    await bus.js.update_stream(config.evolve(max_msgs=messages))


async def until_stored(bus: JetStreamBus, stream: str, messages: int) -> None:
    async with asyncio.timeout(40):
        while await stored(bus, stream) != messages:
            await asyncio.sleep(0.02)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with nats_cluster(tmp_path / "nats", sync=("always",)) as server:
        yield server


@pytest.mark.parametrize("stream", BOTH)
async def test_a_stream_that_takes_messages_is_up_and_keeps_no_canary(world: World, stream: str) -> None:
    before = confirmed(stream)
    await Canaries(world.bus).send_all()
    assert up(stream) == 1
    assert confirmed(stream) == before + 1
    assert await stored(world.bus, stream) == 0
    assert (await world.bus.js.stream_info(stream)).state.last_seq == 1, "it was really stored"


@pytest.mark.parametrize("stream", BOTH)
async def test_a_full_stream_is_down_until_it_has_room(world: World, stream: str) -> None:
    canaries = Canaries(world.bus)
    [cause] = await job_with(world, requested())
    await (publish_long_ago(world, cause) if stream == CLIPS else world.bus.js.publish("dlq.clips.requested", b"a letter"))
    await limit(world.bus, stream, 1)
    await canaries.send_all()
    assert [up(each) for each in BOTH] == [float(each != stream) for each in BOTH]
    await limit(world.bus, stream, 2)
    await canaries.send_all()
    assert up(stream) == 1
    assert await stored(world.bus, stream) == 1, "what lay there lies there"


async def test_a_stream_that_met_a_write_error_is_down_though_it_answers_and_the_other_is_up(server: NatsCluster) -> None:
    async with connected_bus(server.url) as bus:
        await streams.ensure(bus.js, replicas=1)
        canaries = Canaries(bus)
        await canaries.send_all()
        assert [up(CLIPS), up(DLQ)] == [1, 1]
        await break_writing(server, bus)
        await canaries.send_all()
        assert [up(CLIPS), up(DLQ)] == [0, 1]
        await bus.ping()  # the canary's silence is no word on our work
        await restart(server)
        async with asyncio.timeout(60):
            while up(CLIPS) != 1:
                await canaries.send_all()
                await asyncio.sleep(0.1)


async def test_a_server_that_is_away_leaves_both_down_and_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.runtime.stored_messages.PUBLISH_TIMEOUT", 0.5)
    canaries = Canaries(world.bus)
    await canaries.send_all()
    await world.own.nats.kill()
    await canaries.send_all()
    assert [up(CLIPS), up(DLQ)] == [0, 0]
    await world.own.nats.start()
    async with asyncio.timeout(60):
        while not world.bus.client.is_connected:
            await asyncio.sleep(0.05)
    await canaries.send_all()
    assert [up(CLIPS), up(DLQ)] == [1, 1]


@pytest.mark.parametrize("stream", BOTH)
async def test_what_a_janitor_left_that_died_counts_as_nothing_and_the_next_one_takes_it_away(world: World, stream: str) -> None:
    messages = StoredMessages(world.bus, stream)
    await messages.send_canary()
    await messages.send_canary()
    assert await stored(world.bus, stream) == 2
    assert await messages.count() == 0
    assert (await messages.fill()).room(500, 0.9) == 500
    await Canaries(world.bus).send_all()
    await until_stored(world.bus, stream, 0)


async def test_a_canary_is_no_queued_work_no_lost_message_and_no_dead_letter(world: World) -> None:
    for stream in BOTH:
        await StoredMessages(world.bus, stream).send_canary()
    assert [load.depth.pending for load in await lane_loads(world.bus, datetime.now(UTC))] == [0] * 12
    letters = Letters(world.store, world.bus)
    assert (await letters.list(ListRequest())).letters == []
    assert await letters.get(1) is None
    assert await stored(world.bus, DLQ) == 1


async def test_a_stream_of_before_has_its_rule_named_and_gets_the_subject(world: World) -> None:
    config = (await world.bus.js.stream_info(CLIPS)).config
    await world.bus.js.update_stream(config.evolve(subjects=[name for name in config.subjects or () if name != canary(CLIPS)]))
    [problem] = await streams.broken_rules(world.bus.js, replicas=1)
    assert problem.startswith("stream CLIPS: subjects is ")
    await Canaries(world.bus).send_all()
    assert [up(CLIPS), up(DLQ)] == [0, 1]
    await streams.ensure(world.bus.js, replicas=1)
    assert await streams.broken_rules(world.bus.js, replicas=1) == []
    await Canaries(world.bus).send_all()
    assert up(CLIPS) == 1
