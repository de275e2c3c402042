"""What calls to what we depend on are called in a trace, by OpenTelemetry's semantic conventions. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["internal", "server", "client", "producer", "consumer"]

S3_OPERATIONS = {
    "copy": "CopyObject",
    "delete": "DeleteObjects",
    "get": "GetObject",
    "head": "HeadObject",
    "list": "ListObjectsV2",
    "put": "PutObject",
}
"""Ours that S3 calls otherwise; the others differ in their spelling alone."""
SETTLES = frozenset({"ack", "nak", "term"})


@dataclass(frozen=True, slots=True)
class Named:
    """A span's name, kind, and what is known of it beforehand."""

    name: str
    kind: Kind
    attributes: Mapping[str, str]


@cache
def named(dependency: str, operation: str) -> Named | None:
    """None for what makes no span: pings, and publishing, which makes one that knows its subject."""
    if operation == "ping":
        return None
    match dependency:
        case "postgres":
            return Named(operation, "client", {"db.system.name": "postgresql", "db.query.summary": operation})
        case "nats":
            return None if operation == "publish" else Named(operation, "client", _messaging(operation))
        case "s3":
            method = S3_OPERATIONS.get(operation) or "".join(word.capitalize() for word in operation.split("_"))
            return Named(f"S3.{method}", "client", {"rpc.system.name": "aws-api", "rpc.method": f"S3/{method}"})
        case "groq":
            return Named(f"groq {operation}", "client", {"gen_ai.provider.name": "groq", "gen_ai.operation.name": operation})
        case "webhook":
            return Named(operation.upper(), "client", {"http.request.method": operation.upper()})
    return Named(f"{dependency} {operation}", "client", {})


def _messaging(operation: str) -> dict[str, str]:
    settles = {"messaging.operation.type": "settle"} if operation in SETTLES else {}
    return {"messaging.system": "nats", "messaging.operation.name": operation, **settles}


def sending(subject: str, message_id: str | None) -> dict[str, str]:
    """Of a message on its way out; its span is called `send <subject>`."""
    sends = {"messaging.system": "nats", "messaging.operation.name": "send", "messaging.operation.type": "send"}
    return {**sends, "messaging.destination.name": subject, **({"messaging.message.id": message_id} if message_id else {})}


def processing(subject: str, message_id: str | None, consumer: str | None = None) -> dict[str, str]:
    """Of a message that is worked on; its span is called `process <subject>`."""
    processes = {"messaging.system": "nats", "messaging.operation.name": "process", "messaging.operation.type": "process"}
    known = {"messaging.message.id": message_id, "messaging.consumer.group.name": consumer}
    return {**processes, "messaging.destination.name": subject, **{name: value for name, value in known.items() if value}}
