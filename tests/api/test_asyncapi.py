"""The contract of what travels over NATS: it is AsyncAPI, and real messages keep to it."""

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from libs.common.domain.burial import reason_headers
from libs.common.domain.dead_letters import ListAnswer, ReplayRequest, problem_reply
from libs.common.domain.events import CONSUMES, Priority, StageName, encode, type_of
from libs.common.domain.failures import Code, Failure
from libs.common.domain.subjects import headers_of, subject_for
from libs.common.domain.worker_reports import WorkerReport, subject_of
from services.api.asyncapi import document
from tests.api.conftest import Running
from tests.builders import envelope, ready, requested, transcribed, uploaded

WORK = {StageName.RESOLVER: requested(), StageName.CLIPPER: ready(), StageName.ASR: uploaded(), StageName.BURNER: transcribed()}
CONTRACT = document()


def resolved(place: str) -> Any:
    """What a reference leads to. KeyError for one that leads nowhere."""
    found: Any = CONTRACT
    for step in place.removeprefix("#/").split("/"):
        found = found[step]
    return found


def keeps(value: Any, schema: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft202012Validator({**schema, "components": CONTRACT["components"]}).is_valid(value)


def message_on(channel: str) -> dict[str, Any]:
    (message,) = resolved(f"#/channels/{channel}")["messages"].values()
    found: dict[str, Any] = resolved(message["$ref"])
    return found


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


async def test_it_is_served_beside_the_api_that_it_belongs_to(api: Running) -> None:
    answer = await api.http.get("/schema/asyncapi.json")
    assert answer.headers["content-type"].startswith("application/vnd.aai.asyncapi+json")
    assert answer.json() == json.loads(json.dumps(CONTRACT))


def test_it_has_the_form_that_asyncapi_3_asks_for() -> None:
    """The rules of the specification that this document could break; the official JSON schema is on no package index for Python."""
    assert CONTRACT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= CONTRACT["info"].keys()
    for server in CONTRACT["servers"].values():
        assert {"host", "protocol"} <= server.keys()
    for channel in CONTRACT["channels"].values():
        named = {name.strip("{}") for name in (channel["address"] or "").split(".") if name.startswith("{")}
        assert named == set(channel.get("parameters", {}))
        assert all(
            set(about) <= {"enum", "default", "description", "examples", "location"} for about in channel.get("parameters", {}).values()
        )
    for operation in CONTRACT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        for message in (*operation["messages"], *operation.get("reply", {}).get("messages", ())):
            assert "/messages/" in message["$ref"]
            assert message["$ref"].startswith("#/channels/")
    assert all(isinstance(schema.get("discriminator", ""), str) for schema in CONTRACT["components"]["schemas"].values())


def test_every_reference_leads_somewhere() -> None:
    found = references(CONTRACT)
    assert len(found) > 50
    for place in found:
        resolved(place)


@pytest.mark.parametrize("stage", list(StageName))
@pytest.mark.parametrize("priority", list(Priority))
def test_what_a_stage_takes_keeps_to_its_channel(stage: StageName, priority: Priority) -> None:
    sent = envelope(WORK[stage], priority=priority)
    subject = subject_for(type_of(sent.event), priority)
    lane = "" if priority is Priority.NORMAL else ".lane"
    channel = f"{type_of(sent.event)}{lane}"
    assert resolved(f"#/channels/{channel}")["address"].replace("{lane}", priority.value) == subject
    assert keeps(json.loads(encode(sent)), message_on(channel)["payload"])
    assert keeps(headers_of(sent), message_on(channel)["headers"])


@pytest.mark.parametrize("stage", list(StageName))
def test_another_event_does_not_keep_to_a_channel(stage: StageName) -> None:
    payload = message_on(type_of(CONSUMES[stage]))["payload"]
    for other in set(StageName) - {stage}:
        assert not keeps(json.loads(encode(envelope(WORK[other]))), payload)


def test_a_dead_letter_keeps_to_its_channel() -> None:
    headers = reason_headers("source.ready", 3, StageName.CLIPPER, Failure(Code.INTERNAL, "broke"), 3)
    assert keeps(headers, message_on("dlq")["headers"])
    assert not keeps({**headers, "Clip-Stage": "kitchen"}, message_on("dlq")["headers"])


def test_the_talk_about_dead_letters_keeps_to_its_channels() -> None:
    asked, told = message_on("clipstream.dlq.replay")["payload"], message_on("clipstream.dlq.list.reply")["payload"]
    assert keeps(json.loads(msgspec.json.encode(ReplayRequest(seq=12))), asked)
    assert not keeps({"sequence": 12}, asked)
    assert keeps(json.loads(msgspec.json.encode(ListAnswer(letters=[]))), told)
    assert keeps(json.loads(problem_reply(Failure(Code.BAD_REQUEST, "what?"))), told)


def test_a_workers_report_keeps_to_its_channel() -> None:
    report = WorkerReport(worker="host:1", in_hand=1, places=4, scratch_free_mb=100, scratch_used_mb=1, full=False)
    channel = resolved("#/channels/clipstream.workers")
    assert channel["address"].replace("{stage}", "asr") == subject_of(StageName.ASR)
    assert set(channel["parameters"]["stage"]["enum"]) == {stage.value for stage in StageName}
    assert keeps(json.loads(msgspec.json.encode(report)), message_on("clipstream.workers")["payload"])
