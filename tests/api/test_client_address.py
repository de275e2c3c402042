"""Whose request it is, behind proxies that are trusted and beside those that are not."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.runtime.settings import SettingsError, load
from services.api.client_address import MOST_HOPS, Proxies, client_name
from services.api.settings import ApiSettings

PROXIES = Proxies("10.0.0.0/8, 192.0.2.7,2001:db8::/32")
ADDRESSES = st.ip_addresses()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody asked it
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # what is further left the client may have made up
        ("10.1.2.3", ["1.1.1.1, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.1.2.3", ["1.1.1.1", "198.51.100.1", "192.0.2.7"], "198.51.100.1"),  # of several headers too
        ("10.1.2.3", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("10.1.2.3", ["1.1.1.1, junk"], "10.1.2.3"),
        ("10.1.2.3", ["1.1.1.1, junk, 10.4.4.4"], "10.4.4.4"),
        ("10.1.2.3", ["1.1.1.1,"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.1.2.3", ["[2001:db9::1]:4711"], "2001:db9::1"),
        ("10.1.2.3", ["2001:db9::1%eth0"], "2001:db9::1"),
        ("::ffff:10.1.2.3", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("2001:db8::1", ["2001:db9::1"], "2001:db9::1"),
        (None, ["198.51.100.1"], None),
        ("/run/socket", [], None),
    ],
)
def test_the_client_is_the_last_one_that_a_trusted_proxy_names(peer: str | None, forwarded: list[str], client: str | None) -> None:
    assert PROXIES.client(peer, forwarded) == (ip_address(client) if client else None)


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert Proxies().client("203.0.113.9", ["1.1.1.1"]) == ip_address("203.0.113.9")


@given(st.lists(st.text(max_size=300), max_size=4), st.lists(ADDRESSES.map(str), max_size=4))
def test_nothing_in_a_header_breaks_it_and_what_is_left_of_the_client_counts_for_nothing(junk: list[str], made_up: list[str]) -> None:
    assert PROXIES.client("10.1.2.3", junk) is not None
    assert PROXIES.client("10.1.2.3", [*junk, *made_up, "198.51.100.1", "10.0.0.1"]) == ip_address("198.51.100.1")
    assert PROXIES.client("203.0.113.9", [*junk, *made_up]) == ip_address("203.0.113.9")


def test_a_header_of_many_hops_is_read_no_further_than_a_chain_of_proxies_is_long() -> None:
    assert PROXIES.client("10.1.2.3", ["1.1.1.1" + ",10.0.0.1" * 10_000]) == ip_address("10.0.0.1")
    assert PROXIES.client("10.1.2.3", ["1.1.1.1" + ",10.0.0.1" * (MOST_HOPS - 1)]) == ip_address("1.1.1.1")


@given(ADDRESSES, ADDRESSES)
def test_clients_are_told_apart_by_address_and_of_ipv6_by_network(one, other) -> None:
    def whole(address):
        return address if address.version == 4 else int(address) >> 64

    assert (client_name(one, b"k") == client_name(other, b"k")) == (one.version == other.version and whole(one) == whole(other))
    assert client_name(one, b"k") != client_name(one, b"other")
    assert str(one) not in client_name(one)


@pytest.mark.parametrize(
    ("peer", "proto", "https"),
    [
        ("10.1.2.3", "https", True),
        ("10.1.2.3", "http, HTTPS", True),
        ("10.1.2.3", "https, http", False),
        ("10.1.2.3", "junk", False),
        ("203.0.113.9", "https", False),
        (None, "https", False),
    ],
)
def test_https_is_what_the_trusted_proxy_next_to_us_says(peer: str | None, proto: str, https: bool) -> None:
    assert PROXIES.is_https(peer, proto) is https


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.local", "10.0.0.0/33", "10.0.0.0/8;1.1.1.1"])
def test_a_network_that_is_none_is_a_problem_of_the_configuration(wrong: str) -> None:
    given_ = {"DATABASE_URL": "postgresql://", "NATS_URL": "nats://", "TRUSTED_PROXIES": f"10.0.0.0/8,{wrong}"}
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES: .* is no network"):
        load(ApiSettings, given_)
