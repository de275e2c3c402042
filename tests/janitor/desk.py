"""The operator's desk: requests as the `nats` command sends them."""

import json
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client

if TYPE_CHECKING:
    from tests.janitor.conftest import World

ENDPOINTS = 4


async def described(client: Client) -> dict[str, Any] | None:
    """What the service says of itself, once all of it is there."""
    try:
        reply = await client.request("$SRV.INFO.dlq", b"", timeout=0.2)
    except Exception:  # noqa: BLE001  not there yet
        return None
    info: dict[str, Any] = json.loads(reply.data)
    return info if len(info["endpoints"]) == ENDPOINTS else None


async def asked(world: "World", verb: str, **request: Any) -> dict[str, Any]:
    """The answer of `nats req clipstream.dlq.<verb> '<request>'`, which must be none of an error."""
    reply = await world.bus.client.request(f"clipstream.dlq.{verb}", json.dumps(request).encode(), timeout=30)
    assert not reply.headers, reply.headers
    result: dict[str, Any] = json.loads(reply.data)
    return result


async def refused(world: "World", verb: str, body: bytes) -> tuple[str, str]:
    """The error's code and text, as the headers of a micro service tell them."""
    reply = await world.bus.client.request(f"clipstream.dlq.{verb}", body, timeout=30)
    assert reply.headers is not None, reply.data
    return reply.headers["Nats-Service-Error-Code"], reply.headers["Nats-Service-Error"]
