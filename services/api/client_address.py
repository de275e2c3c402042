"""Where a request really comes from: the connection's peer, or what trusted proxies say of theirs. Pure; nothing in a header breaks it."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
MOST_HOPS = 16
"""Entries of X-Forwarded-For that are looked at, from the right."""
LONGEST = 64
"""Characters of an address with a port."""
CLIENT_PREFIX = 64
"""Bits of an IPv6 address that name a client: the rest is its own to choose (RFC 4291 2.5.4)."""


class Proxies:
    """The networks whose word about others is taken."""

    def __init__(self, networks: str = "") -> None:
        """Comma-separated, 10.1.0.0/16 or a bare address. Raises ValueError that names what is wrong."""
        self._networks = [_network(text.strip()) for text in networks.split(",") if text.strip()]

    def __bool__(self) -> bool:
        """Whether anybody's is."""
        return bool(self._networks)

    def trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str | None, forwarded: Iterable[str]) -> Address | None:
        """`forwarded`: the values of X-Forwarded-For, in order. None where even the peer has no address."""
        address = _address(peer or "")
        if not self._networks:
            return address
        for hop in reversed(",".join(forwarded).rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
            before = _address(hop) if self.trusts(address) else None
            if before is None:
                break
            address = before
        return address

    def is_https(self, peer: str | None, forwarded_proto: str) -> bool:
        """Whether a trusted proxy says that its client came by https. The last word is that of the proxy next to us."""
        return forwarded_proto.rpartition(",")[2].strip().lower() == "https" and self.trusts(_address(peer or ""))


def client_name(address: Address | None, secret: bytes = b"") -> str:
    """`ip:` and a digest; keyed, it tells nobody the address. One IPv6 network of 64 bits is one client."""
    if isinstance(address, IPv6Address):
        packed = ip_network((address, CLIENT_PREFIX), strict=False).network_address.packed
    else:
        packed = address.packed if address else b""
    return "ip:" + hashlib.blake2b(packed, digest_size=8, key=secret).hexdigest()


def _address(text: str) -> Address | None:
    """Also as some proxies write it: with a port, in brackets, or with a zone."""
    return _parsed(text.strip()) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text[:LONGEST]!r} is no network: write it as 10.1.0.0/16 or 10.1.2.3") from error
