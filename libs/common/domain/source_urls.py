"""Which URLs we go to: what the API checks when a job is made, and the guard again before each connection.

A name is judged here by how it is written; what it resolves to is the guard's to check (libs/common/runtime/egress.py).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network
from urllib.parse import quote

from libs.common.domain.addresses import Address, Network, is_public
from libs.common.domain.failures import Code, Failure

LONGEST_URL = 2048
LONGEST_NAME = 253
DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INSIDE = re.compile(r"[^.]*|(?:.*\.)?(?:localhost|local|internal|intranet|lan|home|corp|home\.arpa)")
_AMBIGUOUS = frozenset("ßς")  # IDNA 2003 and 2008 make different names of them
_SMUGGLED = "__youtubedl_smuggle"  # what yt-dlp appends to URLs to instruct its own extractors
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Where an operator lets us go: only to `hosts` and their subdomains unless empty, to `networks` beside the public ones."""

    hosts: frozenset[str]
    networks: tuple[Network, ...]
    ports: frozenset[int]

    def allows(self, address: Address) -> bool:
        return is_public(address) or any(address in network for network in self.networks)


@lru_cache(maxsize=16)
def url_rules(hosts: str, networks: str, ports: str) -> UrlRules:
    """The rules that comma-separated settings describe. Raises ValueError naming the entry that is wrong."""
    return UrlRules(
        frozenset(_listed_host(host) for host in _entries(hosts)),
        tuple(ip_network(network) for network in _entries(networks)),
        frozenset(_listed_port(port) for port in _entries(ports)),
    )


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _listed_host(text: str) -> str:
    try:
        return str(_host(text.removeprefix("*.")))
    except Failure as failure:
        raise ValueError(f"{text!r}: {failure.message}") from None


def _listed_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in range(1, 1 << 16):
        raise ValueError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def checked_url(text: str, rules: UrlRules) -> str:
    """The URL as we go on with it: in ASCII, scheme and host in lower case, no default port.

    Raises Failure: VALIDATION_FAILED for what is no http(s) URL, SSRF_BLOCKED for what leads inside by the look of it,
    SOURCE_FORBIDDEN for a host that is none of `rules.hosts`.
    """
    scheme, authority, rest = _parts(text)
    host, port = host_and_port(authority, DEFAULT_PORTS[scheme])
    host = str(checked_host(host, port, rules))
    if rules.hosts and not _is_listed(host, rules.hosts):
        raise Failure(Code.SOURCE_FORBIDDEN, f"videos from {host} are not allowed here; use a URL of {_some(rules.hosts)}")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port == DEFAULT_PORTS[scheme] else f':{port}'}{quote(rest, safe=_ASCII)}"


def _parts(text: str) -> tuple[str, str, str]:
    """Scheme, authority and the rest, of a URL that no two parsers read differently."""
    if len(text) > LONGEST_URL:
        raise _invalid(f"the URL is too long; at most {LONGEST_URL} characters are allowed")
    if not text.isprintable() or " " in text or "\\" in text:
        raise _invalid("the URL must hold no spaces, backslashes or control characters; percent-encode them")
    parts = _URL.fullmatch(text)
    if parts is None:
        raise _invalid("the URL must begin with http:// or https://")
    if _SMUGGLED in text:
        raise _invalid("the URL must be one that a browser would open")
    return parts[1].lower(), parts[2], parts[3]


def host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    """Host, IPv6 in its brackets, and port of a URL's authority (RFC 3986, 3.2). Raises Failure; user names are refused."""
    if "@" in authority:
        raise _blocked("the URL must not hold a user name or password; leave out what is before the @")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not parts[1]:
        raise _invalid("the URL must name a host, as https://example.com/video does")
    return parts[1], int(parts[2] or default_port)


def checked_host(host: str, port: int, rules: UrlRules) -> Address | str:
    """The address, or the name in ASCII, that a host is. Raises Failure for what may not be connected to by the look of it."""
    if port not in rules.ports:
        raise _blocked(f"port {port} is not allowed; use a URL on port {' or '.join(map(str, sorted(rules.ports)))}")
    found = _host(host)
    if not isinstance(found, str):
        if not rules.allows(found):
            raise _blocked("the URL leads to an address that is not public; use one that everyone can reach")
    elif _INSIDE.fullmatch(found) and not rules.networks:
        raise _blocked("the URL names a host of a private network; use one that everyone can reach")
    return found


def _host(text: str) -> Address | str:
    if ":" in text:
        return _ipv6(text.removeprefix("[").removesuffix("]"))
    name = _ascii(text).removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _dotted(name)
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise _invalid("the URL's host is not a valid name; write it as example.com")
    return name


def _ipv6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise _invalid("the URL's host is not a valid IPv6 address; use the site's name") from None
    if address.scope_id is not None:
        raise _blocked("the URL's address must have no zone; use the site's name")
    return address


def _dotted(text: str) -> IPv4Address:
    """A host that ends in a number is an IPv4 address (WHATWG URL, 3.5): octal, hex and short forms are disguises."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise _blocked("the URL's address is written in a disguised form; use the site's name") from None


def _ascii(text: str) -> str:
    if "%" in text:
        raise _blocked("the URL's host must not be percent-encoded; write it as example.com")
    if len(text) > LONGEST_NAME + 1 or _AMBIGUOUS & set(text):
        raise _invalid("the URL's host is not a valid name; write it as example.com, or in its xn-- form")
    try:
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _invalid("the URL's host is not a valid name; write it in its xn-- form") from None


def _is_listed(host: str, hosts: frozenset[str]) -> bool:
    return any(host == listed or host.endswith(f".{listed}") for listed in hosts)


def _some(hosts: frozenset[str]) -> str:
    first = sorted(hosts)
    return ", ".join(first[:5]) + (" or another that the operator allows" if first[5:] else "")


def _invalid(message: str) -> Failure:
    return Failure(Code.VALIDATION_FAILED, message)


def _blocked(message: str) -> Failure:
    return Failure(Code.SSRF_BLOCKED, message)
