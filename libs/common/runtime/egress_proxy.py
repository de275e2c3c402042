"""An HTTP proxy on loopback for one job: all that the job's child receives from outside passes here, guarded, counted and shaped.

One request a connection. Where it may go is the guard's to say (egress.py); how heads are read and written is in http_heads.py.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.egress import Guard
from libs.common.runtime.egress_connections import CHUNK_BYTES, Side, Upstream, basic, connected, with_small_buffers
from libs.common.runtime.http_heads import ProxyRequest, answer_head, proxy_request, refusal, too_many, wrong_credentials

__all__ = ["Allowance", "EgressProxy", "Upstream", "egress_proxy"]

CONNECTIONS = 64
MOST_HEADS = 16
"""Of one answer, the interim ones included: servers send one or two."""
LEAST_BYTES = 1024
"""What the outside must send within the time of a stall: a drip does not count as life."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one job may take from outside: bytes in all and bytes a second over all its connections, and how long it may wait."""

    max_bytes: int
    stall_seconds: float = 30
    connect_seconds: float = 10
    bytes_per_second: int | None = None


class _Patience:
    """How long the outside may take to send LEAST_BYTES. The time stands still while it is not the outside that we wait for."""

    def __init__(self, deadline: asyncio.Timeout, seconds: float) -> None:
        self._deadline = deadline
        self._seconds = self._left = seconds
        self._heard = 0

    def renew(self) -> None:
        self._left, self._heard = self._seconds, 0
        if self._deadline.when() is not None and not self._deadline.expired():
            self.go_on()

    def pause(self, heard: int) -> None:
        self._heard += heard
        self._left = self._seconds if self._heard >= LEAST_BYTES else max(0, (self._deadline.when() or 0) - _now())
        self._heard %= LEAST_BYTES
        self._deadline.reschedule(None)

    def go_on(self) -> None:
        self._deadline.reschedule(_now() + self._left)


def _now() -> float:
    return asyncio.get_running_loop().time()


class EgressProxy:
    """A running proxy. `failure` is the first thing that it had to block, or the spent budget; `received` is in bytes."""

    def __init__(self, guard: Guard, allowance: Allowance, upstream: Upstream | None, port: int) -> None:
        self.port = port
        self.received = 0
        self.failure: Failure | None = None
        self._guard, self._allowance, self._upstream = guard, allowance, upstream
        self._password = secrets.token_urlsafe(24)
        self._connections: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._free_at = 0.0

    @property
    def url(self) -> str:
        """With the credentials: neither for logs nor for argv."""
        return f"http://job:{self._password}@127.0.0.1:{self.port}"

    def __repr__(self) -> str:
        return f"EgressProxy(port={self.port}, received={self.received})"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        child = Side(reader, writer)
        if self._is_closed:
            child.cut()
        elif len(self._connections) >= CONNECTIONS:
            writer.write(too_many())
            writer.close()
        else:
            task = asyncio.create_task(self._serve(child))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        """Cuts all connections. None is accepted any more."""
        self._is_closed = True
        self._cut_others()
        if self._connections:
            await asyncio.wait(self._connections)

    def _cut_others(self) -> None:
        for connection in self._connections - {asyncio.current_task()}:
            connection.cancel()

    async def _serve(self, child: Side) -> None:
        child.writer.transport.set_write_buffer_limits(0)  # all that is sent is the kernel's when the sending ends
        try:
            await self._answer(child)
            child.writer.close()
            await child.writer.wait_closed()
        except OSError:
            pass  # one of the sides broke off, or the outside was too slow: cut both
        finally:
            child.cut()

    async def _answer(self, child: Side) -> None:
        try:
            async with asyncio.timeout(self._allowance.stall_seconds):
                request = proxy_request(await child.head(Code.VALIDATION_FAILED))
            if not self._is_ours(request):
                return await child.send(wrong_credentials())
            outside = await self._outside(request)
        except Failure as failure:
            self._remember(failure)
            return await child.send(refusal(failure))
        try:
            await self._relay(request, child, outside)
        finally:
            outside.cut()

    def _is_ours(self, request: ProxyRequest) -> bool:
        return secrets.compare_digest(request.authorization, basic("job", self._password).encode())

    def _remember(self, failure: Failure) -> None:
        if failure.code in {Code.SSRF_BLOCKED, Code.INPUT_TOO_LARGE}:
            self.failure = self.failure or failure

    async def _outside(self, request: ProxyRequest) -> Side:
        """A connection to an address that was checked, and to no other. Raises Failure."""
        if self.received > self._allowance.max_bytes:
            raise self._too_large()
        addresses = await self._guard.addresses(request.host, request.port)
        try:
            async with asyncio.timeout(self._allowance.connect_seconds):
                return await connected(addresses, request.port, self._upstream)
        except (OSError, RuntimeError):  # uvloop has RuntimeErrors of its own for some addresses
            raise Failure(Code.RETRYABLE_ERROR, "the site can't be reached now") from None

    async def _relay(self, request: ProxyRequest, child: Side, outside: Side) -> None:
        """Until the outside has sent all, or the child is gone. Raises OSError when the outside stalls or the budget is spent."""
        async with asyncio.timeout(self._allowance.stall_seconds) as deadline:
            patience = _Patience(deadline, self._allowance.stall_seconds)
            upward = asyncio.create_task(_upward(request, child, outside, patience))
            try:
                await self._downward(request, child, outside, patience)
            finally:
                upward.cancel()
                await asyncio.wait([upward])

    async def _downward(self, request: ProxyRequest, child: Side, outside: Side, patience: _Patience) -> None:
        try:
            await (child.send(b"HTTP/1.1 200 Connected\r\n\r\n") if request.is_tunnel else self._head_downward(child, outside, patience))
        except Failure as failure:
            return await child.send(refusal(failure))
        while chunk := await outside.reader.read(CHUNK_BYTES):
            await self._pass_on(len(chunk), chunk, child, patience)

    async def _head_downward(self, child: Side, outside: Side, patience: _Patience) -> None:
        """The head of the answer, and of the interim ones (1xx) before it. Raises Failure when it is none."""
        for _ in range(MOST_HEADS):
            lines = await outside.head(Code.SOURCE_UNREADABLE)
            status, head = answer_head(lines)
            await self._pass_on(sum(map(len, lines)), head, child, patience)
            if status >= HTTPStatus.OK:
                return
        raise Failure(Code.SOURCE_UNREADABLE, "the site does not come to its answer")

    async def _pass_on(self, received: int, data: bytes, child: Side, patience: _Patience) -> None:
        """Counts bytes from outside against the budget, waits as long as the rate wants for them, and hands the data on."""
        patience.pause(received)
        self.received += received
        if self.received > self._allowance.max_bytes:
            self._remember(self._too_large())
            self._cut_others()
            raise ConnectionAbortedError
        if self._allowance.bytes_per_second:
            self._free_at = max(self._free_at, _now()) + received / self._allowance.bytes_per_second
            await asyncio.sleep(self._free_at - _now())
        await child.send(data)
        patience.go_on()

    def _too_large(self) -> Failure:
        return Failure(
            Code.INPUT_TOO_LARGE, f"the source is larger than the {self._allowance.max_bytes / (1 << 20):g} MiB that are allowed"
        )


async def _upward(request: ProxyRequest, child: Side, outside: Side, patience: _Patience) -> None:
    """What the child sends, as far as it belongs to its request. When the child is gone, both sides are cut."""
    left = request.body_bytes
    with suppress(OSError):
        await outside.send(request.head)
        while chunk := await child.reader.read(CHUNK_BYTES):
            patience.renew()
            await outside.send(chunk[:left])
            left = max(0, left - len(chunk))
    outside.cut()
    child.cut()


@asynccontextmanager
async def egress_proxy(guard: Guard, allowance: Allowance, upstream: Upstream | None = None) -> AsyncIterator[EgressProxy]:
    """A proxy of one job's own, on a free port of 127.0.0.1; closed with all its connections on exit."""
    listening = with_small_buffers(socket.create_server(("127.0.0.1", 0)))
    proxy = EgressProxy(guard, allowance, upstream, listening.getsockname()[1])
    server = await asyncio.start_server(proxy.accept, sock=listening, limit=CHUNK_BYTES)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
