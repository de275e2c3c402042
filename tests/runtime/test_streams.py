"""The streams stand as the contract says; drift is mended, and what can't be mended is named. On a NATS of its own."""

import asyncio
import json
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from libs.common.domain.failures import Failure
from libs.common.runtime import streams
from libs.common.runtime.settings import CommonSettings, Secret
from tests.runtime.own_nats import connected_bus, own_nats

WORK = {
    f"{subject}{lane}" for subject in ("clips.requested", "source.ready", "clip.uploaded", "asr.done") for lane in ("", ".fast", ".bulk")
}


@pytest.fixture
async def js(servers: dict[str, str], tmp_path: Path) -> AsyncIterator[JetStreamContext]:
    async with own_nats(servers, tmp_path) as own, connected_bus(own.variables["NATS_URL"]) as bus:
        yield bus.js


async def test_the_streams_and_consumers_stand_as_the_contract_says(js: JetStreamContext) -> None:
    await streams.ensure(js, replicas=1)
    clips = (await js.stream_info("CLIPS")).config
    assert set(clips.subjects or ()) == {*WORK, "canary.clips"}
    assert (clips.retention, clips.storage, clips.discard) == ("workqueue", "file", "new")
    assert (clips.max_age, clips.duplicate_window, clips.num_replicas) == (0, 600, 1)
    letters = (await js.stream_info("DLQ")).config
    assert letters.subjects == ["dlq.>", "canary.dlq"]
    assert (letters.retention, letters.max_age, letters.storage) == ("limits", 30 * 86400, "file")
    assert len((await js.stream_info("ADVISORIES")).config.subjects or ()) == 2
    consumers = {found.name: found.config for found in await js.consumers_info("CLIPS")}
    assert len(consumers) == 12
    assert {config.filter_subject for config in consumers.values()} == WORK
    for config in consumers.values():
        assert (config.ack_policy, config.ack_wait, config.max_deliver, config.backoff, config.deliver_subject) == (
            "explicit",
            30,
            20,
            None,
            None,
        )
    assert (consumers["clipper"].filter_subject, consumers["clipper-bulk"].filter_subject) == ("source.ready", "source.ready.bulk")
    assert await streams.broken_rules(js, replicas=1) == []


async def test_ensuring_again_changes_nothing_and_keeps_messages_and_the_operators_own_settings(js: JetStreamContext) -> None:
    await streams.ensure(js, replicas=1)
    await js.publish("source.ready", b"work")
    config = (await js.stream_info("CLIPS")).config
    await js.update_stream(config.evolve(max_bytes=10**9, description="ours", duplicate_window=900))
    before = (await js.stream_info("CLIPS")).config
    await streams.ensure(js, replicas=1)
    after = await js.stream_info("CLIPS")
    assert after.config == before
    assert after.state.messages == 1
    assert len(await js.consumers_info("CLIPS")) == 12


async def test_what_drifted_is_named_and_then_mended(js: JetStreamContext) -> None:
    await streams.ensure(js, replicas=1)
    config = (await js.stream_info("CLIPS")).config
    await js.update_stream(config.evolve(discard=DiscardPolicy.OLD, max_age=3600.0, no_ack=True))
    consumer = (await js.consumer_info("CLIPS", "asr-fast")).config
    await js.add_consumer("CLIPS", consumer.evolve(backoff=[1, 2], max_deliver=3, max_ack_pending=7))
    await js.delete_consumer("CLIPS", "burner")
    broken = await streams.broken_rules(js, replicas=1)
    assert broken == [
        "stream CLIPS: discard is old, it must be new",
        "stream CLIPS: max_age is 3600.0, it must be 0.0",
        "stream CLIPS: no_ack is True, it must be False",
        "consumer asr-fast: backoff is [1.0, 2.0], it must be unset",
        "consumer asr-fast: ack_wait is 1.0, it must be 30.0",
        "consumer asr-fast: max_deliver is 3, it must be 20",
        "consumer burner is missing: run python -m libs.common.runtime.bootstrap",
    ]
    await streams.ensure(js, replicas=1)
    assert await streams.broken_rules(js, replicas=1) == []
    assert (await js.consumer_info("CLIPS", "asr-fast")).config.max_ack_pending == 7


async def test_consumers_have_the_patience_that_the_settings_give(js: JetStreamContext) -> None:
    settings = CommonSettings(database_url=Secret(""), nats_url=Secret(""), queue_ack_wait_sec=2, queue_max_deliver=7)
    scaled = streams.Deliveries.of(settings)
    await streams.ensure(js, replicas=1, deliveries=scaled)
    assert {(found.config.ack_wait, found.config.max_deliver) for found in await js.consumers_info("CLIPS")} == {(2.0, 7)}
    assert await streams.problems(js, settings) == []
    assert "consumer asr: max_deliver is 7, it must be 20" in await streams.broken_rules(js, replicas=1)


async def test_what_the_server_will_not_change_is_named_after_all_the_rest_was_mended(js: JetStreamContext) -> None:
    await js.add_stream(StreamConfig(name="CLIPS", subjects=["source.ready"], storage=StorageType.MEMORY, retention=RetentionPolicy.LIMITS))
    await streams.ensure(js, replicas=1)
    broken = await streams.broken_rules(js, replicas=1)
    assert broken == ["stream CLIPS: retention is limits, it must be workqueue", "stream CLIPS: storage is memory, it must be file"]


async def test_too_few_replicas_and_acknowledgements_before_the_disk_are_named(js: JetStreamContext) -> None:
    await streams.ensure(js, replicas=1)
    assert "stream CLIPS: num_replicas is 1, it must be 3" in await streams.broken_rules(js, replicas=3)
    await js.delete_stream("DLQ")
    await js.add_stream(StreamConfig(name="DLQ", subjects=["dlq.>"], storage=StorageType.FILE, persist_mode="async"))
    assert "stream DLQ: persist_mode is async, it must be unset" in await streams.broken_rules(js, replicas=1)


async def test_replicas_that_the_server_cannot_give_are_refused_in_its_own_words(js: JetStreamContext) -> None:
    with pytest.raises(Failure, match="stream CLIPS: the message server refuses: replicas > 1") as refused:
        await streams.ensure(js, replicas=3)
    assert refused.value.outage is None


async def test_an_outage_is_told_from_a_refusal(servers: dict[str, str], tmp_path: Path) -> None:
    async with own_nats(servers, tmp_path) as own, connected_bus(own.variables["NATS_URL"]) as bus:
        quick = bus.client.jetstream(timeout=0.5)
        await own.nats.kill()
        with pytest.raises(Failure) as failure:
            await streams.ensure(quick, replicas=1)
        assert failure.value.outage == "nats"


async def test_a_server_shows_on_its_monitoring_port_whether_it_syncs_always(js: JetStreamContext, tmp_path: Path) -> None:
    await streams.ensure(js, replicas=1)
    nobody = "http://127.0.0.1:1"
    async with monitored(tmp_path / "safe", sync="always") as safe, monitored(tmp_path / "risky", sync="2m") as risky:
        broken = await streams.broken_rules(js, replicas=1, monitors=[safe, risky, nobody])
    assert broken == [
        f"server {risky}: sync_interval must be always",
        f"server {nobody}: its monitoring port doesn't say whether it syncs always",
    ]


@asynccontextmanager
async def monitored(folder: Path, *, sync: str) -> AsyncIterator[str]:
    """A NATS server's monitoring address. It chooses its ports and writes them into the folder."""
    folder.mkdir()
    configuration = folder / "nats.conf"
    configuration.write_text(f"""\
port: -1
http: "127.0.0.1:-1"
ports_file_dir: {json.dumps(str(folder))}
jetstream {{ store_dir: {json.dumps(str(folder))}, sync_interval: {sync} }}
""")
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    server = await asyncio.create_subprocess_exec(program, "--config", configuration, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(40):
            while not (written := list(folder.glob("*.ports"))):
                await asyncio.sleep(0.02)
        yield str(json.loads(written[0].read_text())["monitoring"][0])
    finally:
        server.kill()
        await server.wait()


stream_configs = st.builds(
    StreamConfig,
    name=st.just("CLIPS"),
    subjects=st.lists(st.sampled_from([*WORK, "extra"]), unique=True),
    retention=st.sampled_from(RetentionPolicy),
    storage=st.sampled_from(StorageType),
    discard=st.sampled_from(DiscardPolicy),
    max_age=st.sampled_from([0.0, 60.0]),
    duplicate_window=st.sampled_from([60.0, 600.0, 900.0]),
    num_replicas=st.sampled_from([1, 3, 5]),
    no_ack=st.booleans(),
    max_bytes=st.sampled_from([-1, 1000]),
)


@given(stream_configs)
def test_a_mended_configuration_breaks_nothing_and_keeps_what_no_rule_speaks_of(found: StreamConfig) -> None:
    wanted = streams.wanted_streams(3)[0]
    mended = streams.mended(streams.STREAM_RULES, wanted, found)
    assert streams.broken(streams.STREAM_RULES, wanted, mended) == []
    assert mended.max_bytes == found.max_bytes
    assert set(found.subjects or ()) <= set(mended.subjects)
    assert mended.num_replicas >= (found.num_replicas or 0)


@given(st.lists(st.sampled_from([1.0, 30.0]), max_size=2), st.sampled_from([5.0, 30.0]), st.sampled_from([-1, 20]))
def test_a_mended_consumer_breaks_nothing(backoff: list[float], ack_wait: float, max_deliver: int) -> None:
    wanted = streams.wanted_consumers()[0]
    found = ConsumerConfig(
        durable_name=wanted.durable_name, filter_subject="x", backoff=backoff, ack_wait=ack_wait, max_deliver=max_deliver
    )
    assert streams.broken(streams.CONSUMER_RULES, wanted, streams.mended(streams.CONSUMER_RULES, wanted, found)) == []
