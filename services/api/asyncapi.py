"""The contract of what travels over NATS, as an AsyncAPI 3.0 document: made of the same Structs and names that the services use. Pure.

Spec sections 1 to 3; https://www.asyncapi.com/docs/reference/specification/v3.0.0. Events that stay in the table are schemas here only.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from libs.common.domain import news, probing
from libs.common.domain.dead_letters import (
    DISCARD,
    LIST,
    REPLAY,
    SHOW,
    USAGE,
    DiscardAnswer,
    DiscardRequest,
    Letter,
    ListAnswer,
    ListRequest,
    Problem,
    ReplayAnswer,
    ReplayRequest,
    ShowRequest,
)
from libs.common.domain.events import CONSUMES, Envelope, Event, Priority, StageName, type_of
from libs.common.domain.news import News
from libs.common.domain.subjects import CLIPS, DLQ, durable
from libs.common.domain.worker_reports import EVERY, SUBJECT, WorkerReport

VERSION = "1.0.0"
SCHEMAS = "#/components/schemas/"
DESCRIPTION = f"""What Clipstream's services say to each other over NATS.

Work travels on the stream {CLIPS}: at least once, one consumer a stage and lane, effectively once in its results.
The event table in Postgres is the truth; a message is what makes a stage look.
Unknown fields and types are to be passed over: versions run side by side."""

LANES = [priority.value for priority in Priority if priority is not Priority.NORMAL]
MADE_BY = {StageName.RESOLVER: "api", StageName.CLIPPER: "resolver", StageName.ASR: "clipper", StageName.BURNER: "asr"}
"""Who sends what a stage takes."""

ASKED: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]] = {
    LIST: (ListRequest, ListAnswer),
    SHOW: (ShowRequest, Letter),
    REPLAY: (ReplayRequest, ReplayAnswer),
    DISCARD: (DiscardRequest, DiscardAnswer),
    probing.SUBJECT: (probing.ProbeRequest, probing.ProbeAnswer),
}
"""By subject: the request's body and the answer's."""

TEXT = {"type": "string"}
ID = {"type": "string", "format": "uuid"}
HEADERS = {
    "type": "object",
    "required": ["Nats-Msg-Id", "Clip-Job-Id", "Clip-Correlation-Id"],
    "properties": {
        "Nats-Msg-Id": TEXT | {"description": "<jobId>:<type>:<run>; the stream drops a repeat within ten minutes."},
        "Clip-Job-Id": ID,
        "Clip-Correlation-Id": TEXT | {"description": "The creating request's id."},
        "traceparent": TEXT | {"description": "W3C trace context, where the client sent one."},
    },
}
REASON = {
    "type": "object",
    "required": ["Clip-Error-Code", "Clip-Error-Message", "Clip-Attempts", "Clip-Stage", "Clip-Original-Subject", "Clip-Stream-Seq"],
    "properties": {
        "Clip-Error-Code": TEXT,
        "Clip-Error-Message": TEXT,
        "Clip-Attempts": TEXT | {"pattern": "^[0-9]+$"},
        "Clip-Stage": TEXT | {"enum": [stage.value for stage in StageName]},
        "Clip-Original-Subject": TEXT,
        "Clip-Stream-Seq": TEXT | {"pattern": "^[0-9]+$", "description": f"Its place in {CLIPS}."},
        "Clip-Original-Msg-Id": TEXT,
        "Clip-Body-Cut": TEXT | {"description": "Bytes of the whole body, where it was too large to be kept whole."},
        "Nats-Msg-Id": TEXT,
    },
}


def document() -> dict[str, Any]:
    """As JSON has it."""
    talks = [kind for pair in ASKED.values() for kind in pair]
    _, schemas = msgspec.json.schema_components(
        [Envelope, WorkerReport, News, Problem, probing.ProbeFailed, *talks], ref_template=SCHEMAS + "{name}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Clipstream", "version": VERSION, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "{address}", "protocol": "nats", "variables": {"address": {"default": "127.0.0.1:4222"}}}},
        "channels": {**dict(_work_channels()), **_dead_letters(), **_workers(), **dict(_talk_channels())},
        "operations": {**dict(_work_operations()), **_watching(), **dict(_talk_operations())},
        "components": {"schemas": {name: _as_asyncapi(schema) for name, schema in schemas.items()}, "messages": dict(_messages())},
    }


def _as_asyncapi(schema: Any) -> Any:
    """In AsyncAPI a discriminator is the property's name alone."""
    if isinstance(schema, list):
        return [_as_asyncapi(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: part["propertyName"] if name == "discriminator" and isinstance(part, dict) else _as_asyncapi(part)
        for name, part in schema.items()
    }


def _messages() -> Iterator[tuple[str, Any]]:
    for event in CONSUMES.values():
        yield event.__name__, _work(event)
    yield (
        "DeadLetter",
        _message("DeadLetter", {"$ref": SCHEMAS + "Envelope"}, REASON, "A message that failed for good, as it was, with the reason."),
    )
    yield "WorkerReport", _message("WorkerReport", {"$ref": SCHEMAS + "WorkerReport"})
    yield "News", _message("News", {"$ref": SCHEMAS + "News"})
    for asked, told in ASKED.values():
        yield asked.__name__, _message(asked.__name__, {"$ref": SCHEMAS + asked.__name__})
        yield told.__name__, _message(told.__name__, {"oneOf": [{"$ref": SCHEMAS + told.__name__}, _refusal(told)]})


def _refusal(told: type[msgspec.Struct]) -> dict[str, Any]:
    if told is probing.ProbeAnswer:
        return {"$ref": SCHEMAS + probing.ProbeFailed.__name__}
    return {"type": "object", "required": ["error"], "properties": {"error": {"$ref": SCHEMAS + Problem.__name__}}}


def _work(event: type[Event]) -> dict[str, Any]:
    payload = {"allOf": [{"$ref": SCHEMAS + "Envelope"}, {"properties": {"event": {"$ref": SCHEMAS + event.__name__}}}]}
    return _message(type_of(event), payload, HEADERS) | {"correlationId": {"location": "$message.header#/Clip-Correlation-Id"}}


def _message(name: str, payload: dict[str, Any], headers: dict[str, Any] | None = None, summary: str = "") -> dict[str, Any]:
    return {"name": name, "payload": payload, **({"headers": headers} if headers else {}), **({"summary": summary} if summary else {})}


def _channel(address: str | None, *messages: str, description: str = "", **more: Any) -> dict[str, Any]:
    named = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "messages": named, **({"description": description} if description else {}), **more}


def _work_channels() -> Iterator[tuple[str, Any]]:
    lane = {"lane": {"enum": LANES, "description": "The job's priority; fast is served before normal, normal before bulk."}}
    for stage, event in CONSUMES.items():
        durables = ", ".join(durable(stage, priority) for priority in Priority)
        description = f"Stream {CLIPS}; durable consumers {durables}."
        yield type_of(event), _channel(type_of(event), event.__name__, description=description)
        yield f"{type_of(event)}.lane", _channel(f"{type_of(event)}.{{lane}}", event.__name__, description=description, parameters=lane)


def _dead_letters() -> dict[str, Any]:
    subject = {"subject": {"description": "Where it failed, dots and all: dlq.> matches every one."}}
    return {"dlq": _channel("dlq.{subject}", "DeadLetter", description=f"Stream {DLQ}, kept for 30 days.", parameters=subject)}


def _workers() -> dict[str, Any]:
    stage = {"stage": {"enum": [stage.value for stage in StageName]}}
    told = f"Core NATS: what each worker says of itself every {EVERY:g} s. Nothing hangs on it."
    hint = "Core NATS: jobs of which events were written just now. A hint: the event table tells what happened."
    return {
        SUBJECT: _channel(f"{SUBJECT}.{{stage}}", "WorkerReport", description=told, parameters=stage),
        news.SUBJECT: _channel(news.SUBJECT, "News", description=hint),
    }


def _talk_channels() -> Iterator[tuple[str, Any]]:
    for subject, (asked, told) in ASKED.items():
        yield (
            subject,
            _channel(
                subject, asked.__name__, description=USAGE.get(subject, "What a source holds, and whether a job on it would be taken.")
            ),
        )
        yield f"{subject}.reply", _channel(None, told.__name__, description="The request's own inbox.")


def _work_operations() -> Iterator[tuple[str, Any]]:
    for stage, event in CONSUMES.items():
        for channel in (type_of(event), f"{type_of(event)}.lane"):
            yield f"{channel}.send", _operation("send", channel, event.__name__, f"By {MADE_BY[stage]}.")
            yield f"{channel}.receive", _operation("receive", channel, event.__name__, f"By the stage {stage}.")


def _watching() -> dict[str, Any]:
    return {
        "dlq.send": _operation("send", "dlq", "DeadLetter", "By the stage that gave up, or the janitor in its place."),
        f"{SUBJECT}.send": _operation("send", SUBJECT, "WorkerReport", "By every worker."),
        f"{news.SUBJECT}.send": _operation("send", news.SUBJECT, "News", "By every service that writes events."),
        f"{news.SUBJECT}.receive": _operation("receive", news.SUBJECT, "News", "By each API process, while clients follow jobs."),
    }


def _talk_operations() -> Iterator[tuple[str, Any]]:
    for subject, (asked, told) in ASKED.items():
        by = "By a resolver." if subject == probing.SUBJECT else "By a janitor."
        reply = {"channel": {"$ref": f"#/channels/{subject}.reply"}, "messages": [_in_channel(f"{subject}.reply", told.__name__)]}
        yield f"{subject}.receive", _operation("receive", subject, asked.__name__, by) | {"reply": reply}


def _operation(action: str, channel: str, message: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": [_in_channel(channel, message)], "summary": summary}


def _in_channel(channel: str, message: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}
