"""How a message becomes a dead letter: its headers beside those that say why, whatever it came with. Pure."""

import re
from collections.abc import Mapping

from libs.common.domain.events import StageName
from libs.common.domain.failures import Failure
from libs.common.domain.subjects import CLIPS

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
"""A header's name as clients and servers take it."""
VALUE_LIMIT = 1000
KEPT_LIMIT = 8192
"""Bytes of a message's own headers that its letter keeps."""
MARGIN = 256
"""Bytes for what the client puts around a message."""


def reason_headers(subject: str, sequence: int, stage: StageName, failure: Failure, attempts: int) -> dict[str, str]:
    """Spec section 2.3. The id lets the stream drop the second copy that a crash may cause."""
    return {
        "Clip-Error-Code": failure.code.value,
        "Clip-Error-Message": plain(failure.message, 500),
        "Clip-Attempts": str(attempts),
        "Clip-Stage": stage.value,
        "Clip-Original-Subject": subject,
        "Clip-Stream-Seq": str(sequence),
        "Nats-Msg-Id": f"{CLIPS}:{sequence}",
    }


def letter(body: bytes, own: Mapping[str, str], reason: Mapping[str, str], *, largest: int) -> tuple[bytes, dict[str, str]]:
    """The dead letter's body and headers, together never more than `largest` bytes: the body is cut only when nothing else helps."""
    headers = {**kept(own, reason), **reason}
    if len(body) <= largest - MARGIN - size(headers):
        return body, headers
    if len(body) <= (room := largest - MARGIN - size(reason)):
        return body, dict(reason)
    cut = {**reason, "Clip-Body-Cut": str(len(body))}
    return body[: room - size({"Clip-Body-Cut": str(len(body))})], cut


def kept(own: Mapping[str, str], reason: Mapping[str, str]) -> dict[str, str]:
    """Nats-* headers are orders to the server (an expected sequence, a life time): for the letter they must not hold."""
    taken = {name.lower() for name in reason}
    found: dict[str, str] = {}
    for name, value in own.items():
        if name.lower() == "nats-msg-id":
            found["Clip-Original-Msg-Id"] = plain(value, VALUE_LIMIT)
        elif TOKEN.fullmatch(name) and not name.lower().startswith("nats-") and name.lower() not in taken:
            found[name] = plain(value, VALUE_LIMIT)
        if size(found) > KEPT_LIMIT:
            found.popitem()
            break
    return found


def plain(text: str, limit: int) -> str:
    """In one line, and such that UTF-8 can hold it."""
    return " ".join(str(text).encode("utf-8", "replace").decode().split())[:limit]


def size(headers: Mapping[str, str]) -> int:
    """Bytes on the wire."""
    return sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
