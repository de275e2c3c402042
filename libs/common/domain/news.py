"""Which jobs have new events, said on core NATS by whoever wrote them, `clipstream.news`: `nats sub clipstream.news`.

A hint and no more: who hears it looks into the event table, and who hears nothing looks there by himself a little later.
"""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

SUBJECT = "clipstream.news"
MOST = 1_000
"""Jobs in one message."""


class News(msgspec.Struct, frozen=True):
    jobs: Annotated[list[UUID], Meta(max_length=MOST)]


def news_of(body: bytes) -> News | None:
    """None for what is no news."""
    try:
        return msgspec.json.decode(body, type=News)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
