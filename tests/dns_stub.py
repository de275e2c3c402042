"""A DNS server on loopback that gives the answers it was told, look-up by look-up: what a hostile name server would do."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

NXDOMAIN, SERVFAIL, SILENCE = "NXDOMAIN", "SERVFAIL", "SILENCE"

Answer = Sequence[str] | str
"""Addresses of both families (none of a family: no such record), or one of the three words."""

_CODES = {NXDOMAIN: 3, SERVFAIL: 2}
_TYPES = {1: "A", 28: "AAAA"}


@dataclass(slots=True)
class DnsStub:
    """`queries` are (name, type) in the order they came."""

    answers: Mapping[str, Sequence[Answer]]
    address: str = ""
    queries: list[tuple[str, str]] = field(default_factory=list)

    def lookups(self, name: str) -> int:
        """How often a name was looked up; A and AAAA together are one."""
        return max(Counter(kind for asked, kind in self.queries if asked == name).values(), default=0)

    def reply(self, query: bytes) -> bytes | None:
        """The n-th look-up of a name gets its n-th answer, the last one for ever; a name nobody told of does not exist."""
        end, name = _question(query)
        kind = _TYPES.get(int.from_bytes(query[end - 4 : end - 2]), "other")
        self.queries.append((name, kind))
        told = self.answers.get(name, [NXDOMAIN])
        answer = told[min(self.queries.count((name, kind)), len(told)) - 1]
        if answer == SILENCE:
            return None
        found = [] if isinstance(answer, str) else [a for a in map(ip_address, answer) if {4: "A", 6: "AAAA"}[a.version] == kind]
        code = _CODES[answer] if isinstance(answer, str) else 0
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + query[end - 4 : end] + struct.pack("!IH", 0, len(a.packed)) + a.packed for a in found)
        return head + query[12:end] + records


def _question(query: bytes) -> tuple[int, str]:
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return at + 5, ".".join(labels).lower()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, stub: DnsStub) -> None:
        self._stub = stub

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # it is one of datagrams
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if reply := self._stub.reply(data):
            self._transport.sendto(reply, addr)


@asynccontextmanager
async def dns_stub(answers: Mapping[str, Sequence[Answer]]) -> AsyncIterator[DnsStub]:
    stub = DnsStub(answers)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Protocol(stub), local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    stub.address = "{}:{}".format(*transport.get_extra_info("sockname"))
    try:
        yield stub
    finally:
        transport.close()
