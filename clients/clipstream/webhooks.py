"""Webhooks verified, by the rules of Standard Webhooks 1.0.0 (standardwebhooks.com)."""

import base64
import hmac
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from clipstream.errors import WebhookRefused
from clipstream.models import Job, Model, WebhookEvent

PREFIX = "whsec_"
NEEDED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class _Payload(Model, frozen=True, kw_only=True):
    type: str
    timestamp: datetime
    data: Job


def verify_webhook(body: bytes, headers: Mapping[str, Any], secrets: str | Sequence[str], *, tolerance: float = 300) -> WebhookEvent:
    """The event that the server signed. `body` as it came, byte by byte; `secrets`: whsec_…, two of them while they change.

    Raises WebhookRefused for whatever is not signed with one of them, or was signed more than `tolerance` seconds ago or ahead.
    """
    message, moment, signatures = _named(headers)
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not any([_matches(key, message, moment, body, signatures) for key in keys]):  # noqa: C419  all are compared, in the same time
        raise WebhookRefused("the webhook is not signed with our secret")
    if abs(time.time() - float(moment)) > tolerance:
        raise WebhookRefused("the webhook is too old, or a clock is wrong")
    return _event(message, body)


def _named(headers: Mapping[str, Any]) -> tuple[str, str, str]:
    """Id, moment and signatures, whatever the case of their names."""
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    if not all(given.get(name) for name in NEEDED):
        raise WebhookRefused("the webhook's headers are missing")
    message, moment, signatures = (given[name] for name in NEEDED)
    if not (moment.isascii() and moment.isdigit() and len(moment) < len("1000000000000")):
        raise WebhookRefused("the webhook's timestamp can't be read")
    return message, moment, signatures


def _key(secret: str) -> bytes:
    """Raises ValueError for what is no secret: that is a slip in the receiver's configuration, and no forgery."""
    key = base64.b64decode(secret.strip().removeprefix(PREFIX) + "==")
    if not key:
        raise ValueError("a signing secret looks like whsec_…")
    return key


def _matches(key: bytes, message: str, moment: str, body: bytes, signatures: str) -> bool:
    signed = hmac.digest(key, f"{message}.{moment}.".encode(errors="replace") + body, "sha256")
    expected = b"v1," + base64.b64encode(signed)
    return any([hmac.compare_digest(expected, one.encode(errors="replace")) for one in signatures.split(" ")])  # noqa: C419  the same


def _event(message: str, body: bytes) -> WebhookEvent:
    try:
        told = msgspec.json.decode(body, type=_Payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookRefused("the webhook's body can't be read") from error
    return WebhookEvent(id=message, type=told.type, timestamp=told.timestamp, job=told.data)
