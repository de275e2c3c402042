"""The guard of every connection to the outside: a name is looked up once, every address of it is checked, and only those are used.

The one place that knows aiodns. What is allowed is decided in libs/common/domain/source_urls.py.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import aiodns
import pycares
from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from libs.common.domain.failures import Code, Failure
from libs.common.domain.source_urls import UrlRules, checked_host

LOOKUP_SECONDS = 10.0
TRIES = 3
_NO_SUCH_NAME = frozenset({aiodns.error.ARES_ENOTFOUND, aiodns.error.ARES_ENODATA, aiodns.error.ARES_EBADNAME})


class Guard:
    """Says where a connection may go. Names are looked up by c-ares: slow, hostile name servers hold no thread of ours."""

    def __init__(self, rules: UrlRules, resolver: aiodns.DNSResolver, lookup_seconds: float = LOOKUP_SECONDS) -> None:
        self.rules = rules
        self._resolver = resolver
        self._lookup_seconds = lookup_seconds

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses to connect to for this host (IPv6 with or without brackets) and port, after one look-up; at least one.

        Raises Failure: SSRF_BLOCKED when the port, the name or any one of its addresses is not allowed, SOURCE_UNREADABLE for
        a name that does not exist, RETRYABLE_ERROR when its name servers don't answer.
        """
        wanted = checked_host(host, port, self.rules)
        found = await self._lookup(wanted) if isinstance(wanted, str) else (str(wanted),)
        for address in found:
            self.check(address, port)
        return found

    def check(self, address: str, port: int) -> None:
        """Raises Failure(SSRF_BLOCKED) unless this very address and port may be connected to."""
        if not self.rules.allows(ip_address(address)) or port not in self.rules.ports:
            raise Failure(Code.SSRF_BLOCKED, "the URL leads to an address that is not public; use one that everyone can reach")

    async def _lookup(self, name: str) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self._lookup_seconds):
                found = await self._resolver.getaddrinfo(name, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise Failure(Code.RETRYABLE_ERROR, f"the name {name} could not be looked up in time") from None
        except aiodns.error.DNSError as error:
            if error.args[0] in _NO_SUCH_NAME:
                raise Failure(Code.SOURCE_UNREADABLE, f"there is no host named {name}; check the URL") from None
            raise Failure(Code.RETRYABLE_ERROR, f"the name {name} could not be looked up now") from None
        return tuple(dict.fromkeys(node.addr[0].decode() for node in found.nodes))


@asynccontextmanager
async def open_guard(rules: UrlRules, nameservers: Sequence[str] = (), *, lookup_seconds: float = LOOKUP_SECONDS) -> AsyncIterator[Guard]:
    """A guard over these name servers ("host" or "host:port"), the system's if empty; /etc/hosts counts, search domains don't."""
    flags = pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_EDNS
    async with aiodns.DNSResolver(nameservers, timeout=lookup_seconds / TRIES, tries=TRIES, flags=flags) as resolver:
        yield Guard(rules, resolver, lookup_seconds)


class GuardedResolver(AbstractResolver):
    """The guard as aiohttp's resolver. aiohttp asks no resolver about literal addresses: use `guarded_connector`."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = [(family_of(address), address) for address in await self._guard.addresses(host, port)]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in found
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        """Nothing: the guard is not ours."""


def guarded_connector(guard: Guard, **options: Any) -> TCPConnector:
    """A connector for an aiohttp client that connects nowhere but where the guard lets it, redirects and literals included.

    The client's calls raise the guard's Failure. The last check is at the socket, so that it holds for whatever led there.
    """

    def guarded_socket(info: AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        guard.check(str(address[0]), address[1])
        return socket.socket(family, kind, proto)

    return TCPConnector(resolver=GuardedResolver(guard), use_dns_cache=False, socket_factory=guarded_socket, **options)


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
