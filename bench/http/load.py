"""Load for an HTTP server, from a process of its own: `python -m bench.http.load`, orders as JSON on stdin, what it found on stdout.

Each connection sends its next request when it has the answer to the last: a closed loop, so that a slow server is not buried.
"""

import asyncio
import sys
import time
from itertools import cycle
from typing import cast

import msgspec
import uvloop


class Orders(msgspec.Struct):
    """Requests as bytes on the wire (Latin-1), sent in turns for so many seconds; `expected` is the status of a right answer."""

    port: int
    requests: list[str]
    connections: int
    seconds: float
    expected: int


class Found(msgspec.Struct):
    """Right answers, wrong ones, the seconds that it took, and each right answer's own seconds."""

    right: int = 0
    wrong: int = 0
    seconds: float = 0.0
    took: list[float] = []


class Connection(asyncio.Protocol):
    """One connection and its one request under way."""

    def __init__(self, orders: Orders, requests: "cycle[bytes]", found: Found, until: float) -> None:
        self._orders, self._requests, self._found, self._until = orders, requests, found, until
        self._heard, self._missing, self._sent = b"", -1, 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none by its class
        self._next()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._missing < 0:
            head, end, _ = self._heard.partition(b"\r\n\r\n")
            if not end:
                return
            length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
            self._missing = len(head) + 4 + int(length)
        if len(self._heard) >= self._missing:
            self._count()
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        if not self.done.done():
            self._found.wrong += time.perf_counter() < self._until
            self.done.set_result(None)

    def _count(self) -> None:
        if int(self._heard[9:12]) == self._orders.expected:
            self._found.right += 1
            self._found.took.append(time.perf_counter() - self._sent)
        else:
            self._found.wrong += 1

    def _next(self) -> None:
        self._heard, self._missing, self._sent = b"", -1, time.perf_counter()
        if self._sent >= self._until:
            self._transport.close()
            return
        self._transport.write(next(self._requests))


async def load(orders: Orders) -> Found:
    found, began = Found(took=[]), time.perf_counter()
    requests = cycle([request.encode("latin-1") for request in orders.requests])
    loop, until = asyncio.get_running_loop(), began + orders.seconds
    made = [
        await loop.create_connection(lambda: Connection(orders, requests, found, until), "127.0.0.1", orders.port)
        for _ in range(orders.connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    found.seconds = time.perf_counter() - began
    return found


if __name__ == "__main__":
    answer = uvloop.run(load(msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
