"""Signing secrets and signatures, as Standard Webhooks 1.0.0 says (standardwebhooks.com). Pure."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

PREFIX = "whsec_"


def signing_key(root: bytes, tenant: str, secret_id: UUID) -> bytes:
    """32 bytes that follow from the operator's secret, and from nothing that is stored without it."""
    return hmac.digest(root, secret_id.bytes + tenant.encode(), "sha256")


def shown(key: bytes) -> str:
    """As receivers put it into their libraries."""
    return PREFIX + base64.b64encode(key).decode()


def signed_headers(message_id: UUID, at: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Of one attempt at `at`; every key signs, so that a receiver may know either of two while they change."""
    seconds = int(at.timestamp())
    content = f"{message_id}.{seconds}.".encode() + body
    signatures = [f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys]
    return {"webhook-id": str(message_id), "webhook-timestamp": str(seconds), "webhook-signature": " ".join(signatures)}
