"""What docs/runbook.md needs of the `nats` command, by the same requests on the wire; it prints the same facts without the decoration.

The real one is written in Go and can't be built where there is no way to its modules.
"""

# ruff: noqa: E402, T201 - a command prints
import asyncio
import base64
import json
import os
import sys
from typing import Any

sys.modules["aiohttp"] = None  # type: ignore[assignment]  # of use for websockets alone, and longer to read than all the rest

from nats.aio.client import Client
from nats.errors import NoRespondersError


async def api(client: Client, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request to JetStream's own API. Exits on its error, as the command does."""
    answer: dict[str, Any] = json.loads((await client.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"")).data)
    if "error" in answer:
        sys.exit(f"nats: error: {answer['error']['description']}")
    return answer


async def req(client: Client, subject: str, body: str) -> None:
    """The body as it came, behind the headers of an error."""
    try:
        reply = await client.request(subject, body.encode(), timeout=5)
    except NoRespondersError:
        sys.exit("nats: error: no responders are available")
    for name, value in (reply.headers or {}).items():
        print(f"{name}: {value}")
    print(reply.data.decode())
    if reply.headers:
        sys.exit(1)


async def pub(client: Client, subject: str, body: str) -> None:
    """Without headers, and without waiting for the stream's word."""
    await client.publish(subject, body.encode())
    await client.flush()
    print(f"Published {len(body.encode())} bytes to {subject!r}")


async def stream_get(client: Client, stream: str, sequence: str) -> None:
    found = (await api(client, f"STREAM.MSG.GET.{stream}", {"seq": int(sequence)}))["message"]
    print(f"Item: {stream}#{found['seq']} received {found['time']} on Subject {found['subject']}\n")
    print(base64.b64decode(found.get("hdrs", "")).decode().replace("\r", "").removeprefix("NATS/1.0\n").strip() + "\n")
    print(base64.b64decode(found.get("data", "")).decode(errors="replace"))


async def stream_view(client: Client, stream: str) -> None:
    state = (await api(client, f"STREAM.INFO.{stream}"))["state"]
    for sequence in range(state["first_seq"], state["last_seq"] + 1):
        if state["messages"]:
            await stream_get(client, stream, str(sequence))


async def stream_info(client: Client, stream: str) -> None:
    info = await api(client, f"STREAM.INFO.{stream}")
    print(json.dumps({"config": info["config"], "state": info["state"]}, indent=1))


async def stream_report(client: Client) -> None:
    for stream in (await api(client, "STREAM.LIST"))["streams"]:
        state = stream["state"]
        print(f"{stream['config']['name']}: {state['messages']} messages, {state['bytes']} bytes, {state['consumer_count']} consumers")


async def consumer_info(client: Client, stream: str, consumer: str) -> None:
    info = await api(client, f"CONSUMER.INFO.{stream}.{consumer}")
    kept = ("delivered", "ack_floor", "num_ack_pending", "num_redelivered", "num_waiting", "num_pending")
    print(json.dumps({"config": info["config"], **{name: info[name] for name in kept}}, indent=1))


async def consumer_report(client: Client, stream: str) -> None:
    for consumer in (await api(client, f"CONSUMER.LIST.{stream}"))["consumers"]:
        counts = ", ".join(f"{name} {consumer[f'num_{name}']}" for name in ("pending", "ack_pending", "redelivered", "waiting"))
        print(f"{consumer['name']}: {counts}")


async def micro_info(client: Client, name: str) -> None:
    found = json.loads((await client.request(f"$SRV.INFO.{name}", b"", timeout=2)).data)
    print(f"{found['name']} {found['version']}: {found['description']}\n")
    for endpoint in found["endpoints"]:
        print(f"{endpoint['name']}: {endpoint['subject']}\n    usage: {endpoint['metadata']['usage']}")


COMMANDS = {
    ("req",): req,
    ("pub",): pub,
    ("stream", "get"): stream_get,
    ("stream", "view"): stream_view,
    ("stream", "info"): stream_info,
    ("stream", "report"): stream_report,
    ("consumer", "info"): consumer_info,
    ("consumer", "report"): consumer_report,
    ("micro", "info"): micro_info,
}


async def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    [(verb, command)] = [(verb, command) for verb, command in COMMANDS.items() if tuple(words[: len(verb)]) == verb]
    client = Client()
    await client.connect(os.environ["NATS_URL"], allow_reconnect=False)
    try:
        await command(client, *words[len(verb) :])
    finally:
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
