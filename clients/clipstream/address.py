"""Where the server is and who we are: given, or out of the environment. A key goes over plain HTTP only where nobody can listen."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from clipstream.errors import BadRequest, Unauthorized

URL, KEY, INSECURE = "CLIPSTREAM_URL", "CLIPSTREAM_API_KEY", "CLIPSTREAM_INSECURE"
LOCAL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Address:
    """`url` has no slash at its end; an empty key means none."""

    url: str
    key: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}


def address(url: str | None, key: str | None, *, insecure: bool | None = None, environ: Mapping[str, str] = os.environ) -> Address:
    """Raises BadRequest for what is no server's address, or where the key could be read on its way; Unauthorized for what can be no key."""
    url = (url or environ.get(URL) or LOCAL).strip().rstrip("/")
    key = (environ.get(KEY, "") if key is None else key).strip()
    insecure = environ.get(INSECURE, "").lower() in {"1", "true", "yes"} if insecure is None else insecure
    scheme, host = _parsed(url)
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise Unauthorized("UNAUTHORIZED", "that is no API key", hint="A key looks like ck_…, on one line.", field="key")
    if key and scheme == "http" and not (insecure or is_loopback(host)):
        message = f"the API key would go to {host} in the clear"
        hint = f"Use https. If the network is your own, pass insecure=True or set {INSECURE}=1."
        raise BadRequest("INSECURE", message, hint=hint, field="url")
    return Address(url, key)


def _parsed(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        hint = "It looks like https://clips.example.com: with its https:// (or http://), without a password or a query."
        raise BadRequest("BAD_ADDRESS", "that is no server's address", hint=hint, field="url")
    return parts.scheme, parts.hostname or ""


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
