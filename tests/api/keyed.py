"""APIs that ask for keys, and keys for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

from libs.common.runtime.postgres import Pool
from libs.common.runtime.service import Connections
from libs.common.runtime.settings import Secret
from services.api.caller import Scope
from services.api.key_store import KeyStore, KeyWish
from services.api.keys import Key, Pepper
from tests.api.conftest import Running, running

SECRET = "a pepper of at least 32 characters"
PEPPER = Pepper(Secret(SECRET))
KEYED = {"ENABLE_API_KEYS": "true", "API_SECRET": SECRET, "ADMIN_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.1"}
ADDRESSES = count(1)


def somewhere() -> dict[str, str]:
    """Headers of a client whose address nobody has had before."""
    number = next(ADDRESSES)
    return {"x-forwarded-for": f"198.{18 + number // 65536 % 2}.{number // 256 % 256}.{number % 256}"}


@dataclass(frozen=True)
class Client:
    """A key in use."""

    written: str
    key: Key

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.written}", **somewhere()}


async def client(pool: Pool, *scopes: Scope, name: str = "test", **wish: Any) -> Client:
    credentials, key = await KeyStore(pool, PEPPER).create(KeyWish(name=name, scopes=frozenset(scopes or Scope), **wish))
    return Client(credentials.written.reveal(), key)


async def expired(pool: Pool) -> Client:
    return await client(pool, expires_at=datetime.now(UTC) - timedelta(seconds=1))


async def revoked(pool: Pool) -> Client:
    made = await client(pool)
    await KeyStore(pool, PEPPER).revoke(made.key.id)
    return made


@asynccontextmanager
async def keyed(api: Running, **changes: str) -> AsyncIterator[tuple[httpx.AsyncClient, Connections]]:
    async with running(api.environ, **{**KEYED, **changes}) as (http, to):
        await to.health.until_up()
        yield http, to
