"""A connection to the NATS servers that is made in the background and never given up. What travels on it is in jetstream.py."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client
from nats.errors import Error

from libs.common.runtime.logs import logger

log = logger(__name__)
QUIET = 60.0
"""Seconds until the same complaint is told again."""
NO_TLS = "NATS_URL says tls, and the server takes none"


class _Client(Client):
    """Logs in at no server that was to speak TLS and does not: nats-py would say the password in the clear."""

    def _connect_command(self) -> bytes:
        server = self._current_server
        if server and server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise Error(NO_TLS)
        return super()._connect_command()


@asynccontextmanager
async def open_client(url: str, *, name: str) -> AsyncIterator[Client]:
    """A dead peer is noticed within 20 s, a living one within a second; any server of the cluster will do, also one not in `url`."""
    client = _Client()
    connecting = asyncio.create_task(_connected(client, url, name))
    try:
        yield client
    finally:
        connecting.cancel()
        await _closed(client)


class Login(NamedTuple):
    user: str | None = None
    password: str | None = None
    token: str | None = None


def addresses_and_login(url: str) -> tuple[list[str], Login]:
    """The addresses in `url`, comma-separated, without the login, and the login, which must be the same for all.

    nats-py logs in with what an address has, and the addresses that a cluster tells it of have nothing: there it would be refused.
    """
    parts = [urlsplit(part if "://" in part else f"nats://{part}") for part in map(str.strip, url.split(",")) if part]
    addresses = [part._replace(netloc=part.netloc.rpartition("@")[2]).geturl() for part in parts]
    for part in parts:
        if part.username and part.password:
            return addresses, Login(user=unquote(part.username), password=unquote(part.password))
        if part.username:
            return addresses, Login(token=unquote(part.username))
    return addresses, Login()


def inboxes_of(login: Login) -> str:
    """Where answers to this user come: a prefix of its own, so that permissions can keep them from all others (docs/security.md)."""
    return f"_INBOX_{login.user}" if login.user and re.fullmatch(r"[A-Za-z0-9_-]+", login.user) else "_INBOX"


async def _connected(client: Client, url: str, name: str) -> None:
    addresses, login = addresses_and_login(url)
    await client.connect(
        addresses,
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=3,
        ping_interval=10,
        max_outstanding_pings=1,  # given up at the ping after so many unanswered ones: within 10 to 20 s
        error_cb=Complaints().note,
        disconnected_cb=_note_loss,
        reconnected_cb=_note_return,
        user=login.user,
        password=login.password,
        token=login.token,
        inbox_prefix=inboxes_of(login),
    )


async def _closed(client: Client) -> None:
    try:
        async with asyncio.timeout(3):
            await (client.drain() if client.is_connected else client.close())
    except Exception as error:  # noqa: BLE001  on the way out: a server that is gone can't be said goodbye to
        log.info("closed without a goodbye", error=type(error).__name__)


class Complaints:
    """What the server complains of, each complaint once a minute: it may do so with each message that we send."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    async def note(self, error: Exception) -> None:
        now, text = time.monotonic(), f"{type(error).__name__}: {error}"
        self._told = {said: at for said, at in self._told.items() if now - at < QUIET}
        if text not in self._told:
            self._told[text] = now
            log.warning("the message server complains", error=text)


async def _note_loss() -> None:
    log.warning("the message server is gone")


async def _note_return() -> None:
    log.info("the message server is back")
