"""What is public: the IANA registries' special blocks are not, whatever this Python's ipaddress thinks."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.addresses import is_public

INSIDE = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.169.254
    172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1
    203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::7f00:1 64:ff9b:1::1
    64:ff9b:1::808:808 100::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2002:7f00:1::
    2002:808:808:: 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fec0::1 ff02::1 ff0e::1
""".split()  # noqa: SIM905  a table reads best as a table
OUTSIDE = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 169.253.255.255
    172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255
    2001:200:: 2001:4860:4860::8888 2606:4700::1111 2a00:1450::1 3ffe:ffff::1 64:ff9b::808:808
""".split()  # noqa: SIM905  a table reads best as a table


@pytest.mark.parametrize("text", INSIDE)
def test_what_is_no_globally_routable_unicast_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_everyone_can_reach_is_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_a_zone_makes_an_address_local() -> None:
    assert not is_public(ip_address("2606:4700::1111%eth0"))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_ipv4_address_is_public_that_this_python_knows_for_local(address: IPv4Address) -> None:
    assert address.is_global or not is_public(address)


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_is_public_that_this_python_knows_for_local(address: IPv6Address) -> None:
    assert address.is_global or not is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_nat64_is_as_public_as_the_address_in_it_and_other_disguises_never(number: int) -> None:
    prefix = int(IPv6Address("64:ff9b::"))
    assert is_public(IPv6Address(prefix | number)) == is_public(IPv4Address(number))
    assert not any(is_public(IPv6Address(disguise | number)) for disguise in (0, 0xFFFF << 32, int(IPv6Address("64:ff9b:1::"))))
    assert not is_public(IPv6Address(0x2002 << 112 | number << 80))
