"""Every NATS user against every subject: the expected answers come from the code's own tables of stages and subjects."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp
import nats
import pytest
from nats.aio.client import Client

from libs.common.domain.dead_letters import DISCARD, LIST, REPLAY, SHOW
from libs.common.domain.events import SUBJECTS, Priority, StageName
from libs.common.domain.news import SUBJECT as NEWS
from libs.common.domain.probing import SUBJECT as PROBE
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, canary, durable, subject_for
from libs.common.domain.worker_reports import subject_of
from libs.common.runtime import streams
from tests.deploy.database import SERVICES
from tests.deploy.message_servers import SECRET, USERS, MessageServers, production_nats

STAGES = {"resolver": [StageName.RESOLVER], "clipper": [StageName.CLIPPER, StageName.BURNER], "asr": [StageName.ASR]}
MAKES = {"resolver": "source.ready", "clipper": "clip.uploaded", "asr": "asr.done"}
STREAMS = ("CLIPS", "DLQ", "ADVISORIES")
TRUSTED, APART = "$JS.API", "CLIPSTREAM.API"
"""Where JetStream answers those of the streams' account, and the stages, which have accounts of their own."""


def lanes(event: str) -> set[str]:
    return {subject_for(event, priority) for priority in Priority}


def durables(stages: Iterable[StageName]) -> set[str]:
    return {durable(stage, priority) for stage in stages for priority in Priority}


WORK = {subject for event in SUBJECTS.values() for subject in lanes(event)}
CONSUMERS = durables(StageName)
CANARIES = {canary(CLIPS), canary(DLQ)}


def looks(api: str) -> set[str]:
    return {f"{api}.STREAM.INFO.{stream}" for stream in STREAMS} | {f"{api}.CONSUMER.INFO.{CLIPS}.{name}" for name in CONSUMERS}


def stage_may_say(user: str) -> set[str]:
    own = durables(STAGES[user])
    return {
        *looks(APART),
        *lanes(MAKES[user]),
        *(f"dlq.{subject}" for stage in STAGES[user] for subject in lanes(SUBJECTS[stage])),
        *map(subject_of, STAGES[user]),
        NEWS,
        *(f"{APART}.CONSUMER.MSG.NEXT.{CLIPS}.{name}" for name in own),
        *(acks(name) for name in own),
    }


def acks(name: str) -> str:
    return f"$JS.ACK.{CLIPS}.{name}.1.1.1.1.1"


MAY_SAY: dict[str, set[str]] = {
    **{user: stage_may_say(user) for user in STAGES},
    "api": {
        *{*looks(TRUSTED), *WORK, NEWS, PROBE, LIST, SHOW, REPLAY, DISCARD},
        *{f"{TRUSTED}.CONSUMER.LIST.{CLIPS}", f"{TRUSTED}.STREAM.MSG.GET.{CLIPS}"},
    },
    "janitor": {
        *looks(TRUSTED),
        *WORK,
        *(f"dlq.{subject}" for subject in WORK),
        *CANARIES,
        NEWS,
        f"{TRUSTED}.CONSUMER.LIST.{CLIPS}",
        *(f"{TRUSTED}.STREAM.MSG.{verb}.{stream}" for verb in ("GET", "DELETE") for stream in STREAMS),
        *(f"_INBOX_{asker}.1" for asker in ("api", "operator")),
    },
}
STREAM_VERBS = [
    "CREATE",
    "UPDATE",
    "DELETE",
    "PURGE",
    "INFO",
    "SNAPSHOT",
    "RESTORE",
    "LEADER.STEPDOWN",
    "PEER.REMOVE",
    "MSG.GET",
    "MSG.DELETE",
]
CONSUMER_VERBS = ["INFO", "DELETE", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN", "CREATE", "DURABLE.CREATE", "MSG.NEXT"]
SAID = {
    *WORK,
    *CANARIES,
    canary(ADVISORIES),
    *(f"dlq.{subject}" for subject in WORK),
    *map(subject_of, StageName),
    *{NEWS, PROBE, LIST, SHOW, REPLAY, DISCARD, "$SRV.PING", "$SYS.REQ.SERVER.PING", "anything"},
    *(f"_INBOX_{user}.1" for user in USERS),
    *(acks(name) for name in CONSUMERS),
    *(f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{CLIPS}.{name}" for name in CONSUMERS),
    *(f"{api}.STREAM.{verb}.{stream}" for api in (TRUSTED, APART) for verb in STREAM_VERBS for stream in STREAMS),
    *(f"{api}.CONSUMER.{verb}.{CLIPS}.{name}" for api in (TRUSTED, APART) for verb in CONSUMER_VERBS for name in CONSUMERS),
    *(
        f"{api}.{rest}"
        for api in (TRUSTED, APART)
        for rest in ("INFO", "STREAM.LIST", "STREAM.NAMES", "CONSUMER.LIST.CLIPS", "CONSUMER.NAMES.CLIPS")
    ),
    *(f"$JS.API.DIRECT.GET.{stream}" for stream in STREAMS),
}
MAY_HEAR: dict[str, set[str]] = {
    "api": {"_INBOX_api.>", "clipstream.workers.*", NEWS},
    "resolver": {"_INBOX_resolver.>", PROBE, "$SRV.>"},
    "clipper": {"_INBOX_clipper.>"},
    "asr": {"_INBOX_asr.>"},
    "janitor": {"_INBOX_janitor.>", "clipstream.dlq.*", "$SRV.>"},
}
HEARD = {
    *WORK,
    *(f"_INBOX_{user}.>" for user in USERS),
    *{PROBE, NEWS, "clipstream.workers.*", "clipstream.dlq.*", "clipstream.>"},
    *{">", "*.>", "_INBOX.>", "dlq.>", "$JS.>", "$JS.ACK.>", "$JS.EVENT.>", "$SYS.>", "$SRV.>"},
}


@pytest.fixture(scope="module")
async def servers_of_messages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MessageServers]:
    async with production_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@asynccontextmanager
async def login(to: MessageServers, user: str) -> AsyncIterator[Client]:
    client = await nats.connect(to.url(user).split(","), tls=to.trust, inbox_prefix=f"_INBOX_{user}")
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def wire(to: MessageServers, user: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The bare protocol, after the login: nats-py tells refusals only in a callback."""
    host, port = to.addresses[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        await reader.readline()
        await writer.start_tls(to.trust, server_hostname=host)
        writer.write(b"CONNECT %b\r\n" % json.dumps({"user": user, "pass": SECRET, "verbose": False, "tls_required": True}).encode())
        assert await refusals(reader, writer) == set()
        yield reader, writer
    finally:
        writer.transport.abort()


async def refusals(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> set[str]:
    """The subjects that the server refused of what was written until now."""
    writer.write(b"PING\r\n")
    found = set()
    while (line := await reader.readline()) != b"PONG\r\n":
        assert line, "the server hung up"
        if line.startswith(b"-ERR"):
            said = re.search(rb'"(.*)"', line)
            assert said, line
            found.add(said[1].decode())
    return found


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_says_what_its_work_needs_and_is_refused_all_else(servers_of_messages: MessageServers, user: str):
    assert MAY_SAY[user] <= SAID
    async with wire(servers_of_messages, user) as (reader, writer):
        writer.writelines(b"PUB %b 0\r\n\r\n" % subject.encode() for subject in sorted(SAID))
        assert SAID - await refusals(reader, writer) == MAY_SAY[user]


@pytest.mark.parametrize("user", SERVICES)
async def test_a_service_hears_its_own_answers_and_requests_only(servers_of_messages: MessageServers, user: str):
    assert MAY_HEAR[user] <= HEARD
    async with wire(servers_of_messages, user) as (reader, writer):
        writer.writelines(b"SUB %b %d\r\n" % (subject.encode(), n) for n, subject in enumerate(sorted(HEARD)))
        assert HEARD - await refusals(reader, writer) == MAY_HEAR[user]


async def test_nobody_gets_in_without_a_password_or_without_tls(servers_of_messages: MessageServers):
    for url in ("tls://{}", "tls://asr:wrong@{}", "tls://nobody:of-the-tests@{}"):
        with pytest.raises(nats.errors.Error):
            await nats.connect(url.format(servers_of_messages.addresses[0]), tls=servers_of_messages.trust, allow_reconnect=False)


async def test_whom_clients_and_keda_are_told_of_are_the_names_that_the_servers_were_given(servers_of_messages: MessageServers):
    """KEDA asks each of these on the monitoring port; of addresses, a restart would leave dead ones in every client."""
    names = {f"localhost:{address.rpartition(':')[2]}" for address in servers_of_messages.addresses}
    async with aiohttp.ClientSession() as http:
        for monitor in servers_of_messages.monitors:
            async with http.get(f"{monitor}/varz") as answer:
                assert set((await answer.json())["connect_urls"]) == names


@pytest.mark.parametrize("user", ["resolver", "clipper", "asr"])
async def test_no_stage_reaches_beyond_its_account_by_the_reply_of_a_request(servers_of_messages: MessageServers, user: str):
    """JetStream answers wherever a request says; within one account that would be with the rights of the server."""
    targets = ("$JS.API.STREAM.DELETE.DLQ", "$JS.API.STREAM.PURGE.CLIPS", "clips.requested", DISCARD)
    async with login(servers_of_messages, "operator") as operator, login(servers_of_messages, user) as stage:
        js = operator.jetstream()
        await streams.ensure(js, replicas=3)
        await js.purge_stream("CLIPS")
        await js.publish(SUBJECTS[STAGES[user][0]], b"work")  # and stored: what is looked at in the end does not wait for it
        heard = [await operator.subscribe(target) for target in targets]
        await operator.flush()
        for target in targets:
            for name in (durable(STAGES[user][0], Priority.FAST), durable(STAGES[user][0], Priority.NORMAL)):
                ask = b'{"batch":1,"no_wait":true}'
                await stage.publish(f"{APART}.CONSUMER.MSG.NEXT.{CLIPS}.{name}", ask, reply=target)
            await stage.publish(f"{APART}.STREAM.INFO.CLIPS", b"", reply=target)
        answer = await stage.request(f"{APART}.STREAM.INFO.CLIPS", b"", timeout=5)  # behind the others on the same connection
        await operator.flush()
        assert json.loads(answer.data)["config"]["name"] == "CLIPS"
        assert [subscription.pending_msgs for subscription in heard] == [0] * len(targets)
        assert {info.config.name for info in await js.streams_info()} == set(STREAMS)
        assert (await js.stream_info("CLIPS")).state.messages == 1
