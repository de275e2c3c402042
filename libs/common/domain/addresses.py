"""Which addresses are out on the internet. `ipaddress.is_global` differs between Pythons and errs on tunnels and multicast."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INSIDE_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers and clusters; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server, on an address that is public by the registry
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # Oracle's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved and broadcast
    )
)
_UNICAST_IPV6 = IPv6Network("2000::/3")
"""All that is handed out (IANA IPv6 address space); mapped, local, link-local, multicast and metadata lie outside it."""
_INSIDE_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address in disguise
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether this is globally routable unicast by the IANA special-purpose registries (RFC 6890), the same on every Python.

    NAT64's well-known prefix (RFC 6052) is as public as the IPv4 address in it; every other disguise of one is refused.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _INSIDE_IPV4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address.scope_id is None and address in _UNICAST_IPV6 and not any(address in network for network in _INSIDE_IPV6)
