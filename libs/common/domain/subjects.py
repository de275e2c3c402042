"""Names on the wire of NATS: streams, subjects, consumers, and the headers of a message. The contract of spec section 1."""

from libs.common.domain.events import Envelope, Priority, StageName, type_of

CLIPS, DLQ, ADVISORIES = "CLIPS", "DLQ", "ADVISORIES"
"""The streams: all work; what failed for good; what the server says of messages that it gave up."""


def canary(stream: str) -> str:
    """The subject of the messages that only show whether the stream takes any: nobody consumes it, and no count of work has them."""
    return f"canary.{stream.lower()}"


def subject_for(event_type: str, priority: Priority) -> str:
    return event_type if priority is Priority.NORMAL else f"{event_type}.{priority}"


def durable(stage: StageName, priority: Priority) -> str:
    return stage.value if priority is Priority.NORMAL else f"{stage}-{priority}"


def message_id(envelope: Envelope) -> str:
    """The same fact in the same run is the same message, whoever publishes it."""
    return f"{envelope.job_id}:{type_of(envelope.event)}:{envelope.run}"


def headers_of(envelope: Envelope) -> dict[str, str]:
    headers = {
        "Nats-Msg-Id": message_id(envelope),
        "Clip-Job-Id": str(envelope.job_id),
        "Clip-Correlation-Id": envelope.correlation_id,
    }
    return headers | ({"traceparent": envelope.traceparent} if envelope.traceparent else {})
