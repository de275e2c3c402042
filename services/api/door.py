"""The door that every matched route stands behind: who is it, may they, and have they asked too often?"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from structlog.contextvars import bind_contextvars

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.background import every, for_ever, running
from libs.common.runtime.logs import logger
from libs.common.runtime.postgres import Pool
from libs.common.runtime.settings import Secret
from services.api.authority import Authority
from services.api.caller import Caller, Scope
from services.api.client_address import client_name
from services.api.guesses import Guesses
from services.api.http_scope import header
from services.api.key_store import KeyStore
from services.api.keys import Credentials, Key, Pepper, credentials_in, derived
from services.api.openapi import Described
from services.api.rate_limits import RateLimits
from services.api.settings import ApiSettings

log = logger(__name__)
Connection = ASGIConnection[Any, Any, Any, Any]
NOBODY = Caller()
ANYBODY = frozenset({Scope.WRITE, Scope.READ})
"""What callers may do where keys are not asked for: never the operator's routes."""
NOTE_SECONDS, SWEEP_SECONDS = 60.0, 600.0


class Door:
    """One process's. `keys` and `authority` are only where there is an API_SECRET."""

    def __init__(self, settings: ApiSettings, pool: Pool) -> None:
        self._settings, self._proxies = settings, settings.proxies
        secret = settings.api_secret or Secret("")
        self._address_key = derived(secret, b"clip addresses")
        self._pepper = Pepper(secret)
        self.keys = KeyStore(pool, self._pepper)
        self.authority = Authority(self.keys, self._pepper, self._owner)
        self.guesses = Guesses()
        self.limits = RateLimits(pool, settings.rate_limit_window_sec)

    async def admitted(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """The app's guard. Raises Failure: UNAUTHORIZED, FORBIDDEN, RATE_LIMITED, or RETRYABLE_ERROR while keys can't be looked up."""
        needed = self._needed(connection, handler)
        caller = NOBODY if needed is None else await self._caller(connection, needed)
        connection.scope["state"]["caller"] = caller
        if needed is Scope.WRITE:
            await self._count(connection, caller)

    def _needed(self, connection: Connection, handler: BaseRouteHandler) -> Scope | None:
        """A route that says nothing of itself is refused, but for the framework's own OPTIONS, which tell only the methods."""
        said = handler.opt.get("described")
        if isinstance(said, Described):
            guarded = handler.opt.get("guarded_with_keys") and self._settings.enable_api_keys
            return Scope.ADMIN if guarded else said.scope
        if handler.opt.get("open_to_all") or connection.scope.get("method") == "OPTIONS":
            return None
        log.error("a route does not say whom it is for", route=connection.scope.get("path_template"))
        raise Failure(Code.FORBIDDEN, "nobody may call this")

    async def _caller(self, connection: Connection, needed: Scope) -> Caller:
        if needed is not Scope.ADMIN and not self._settings.enable_api_keys:
            return self._stranger(connection)
        caller = await self._key_owner(connection)
        if needed not in caller.scopes:
            raise Failure(Code.FORBIDDEN, f"this needs a key with the scope {needed}")
        return caller

    async def _key_owner(self, connection: Connection) -> Caller:
        """One answer for all that is wrong with a key."""
        written = _key_in(connection.scope)
        digest = self._pepper.digest(written)
        caller = self.authority.at_hand(digest)
        if caller is None:
            credentials = credentials_in(written)
            caller = await self._judged(connection, credentials) if credentials else None
            if caller is None or credentials is None:
                raise Failure(Code.UNAUTHORIZED, "this needs a valid API key")
            self.authority.remember(digest, credentials)
        bind_contextvars(tenant=caller.tenant, key_id=str(caller.key_id))
        return caller

    async def _judged(self, connection: Connection, credentials: Credentials) -> Caller | None:
        """Only what may be a guess is counted: keys that are revoked or expired are none, however many ask with them."""
        if self.authority.recognises(credentials):
            return await self.authority.caller(credentials)
        address = self._address(connection)
        self.guesses.take(address)
        caller = await self.authority.caller(credentials)
        if self.authority.recognises(credentials):
            self.guesses.give_back(address)
        return caller

    async def _count(self, connection: Connection, caller: Caller) -> None:
        """What is counted is told with the answer (access.py), whatever that will be."""
        allowance = await self.limits.count(caller)
        connection.scope["state"]["allowance"] = allowance
        if allowance and allowance.is_over:
            raise allowance.refusal()

    def _address(self, connection: Connection) -> str:
        client = connection.scope.get("client")
        forwarded = connection.headers.getall("x-forwarded-for", [])
        return client_name(self._proxies.client(client[0] if client else None, forwarded), self._address_key)

    def _stranger(self, connection: Connection) -> Caller:
        limits = self._settings
        return Caller(
            client=self._address(connection),
            scopes=ANYBODY,
            max_active_jobs=limits.max_active_jobs_per_client,
            rate_limit=limits.rate_limit_max,
        )

    def _owner(self, key: Key) -> Caller:
        limits = self._settings
        return Caller(
            tenant=key.tenant,
            client=f"key:{key.id}",
            scopes=key.scopes,
            key_id=key.id,
            key_name=key.name,
            max_active_jobs=limits.max_active_jobs_per_client if key.max_active_jobs is None else key.max_active_jobs,
            rate_limit=limits.rate_limit_max if key.rate_limit is None else key.rate_limit,
        )

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While inside, the uses of keys are written down now and then, and windows that ended are forgotten."""
        noting = for_ever("uses of keys", self.authority.note_uses, every(NOTE_SECONDS))
        sweeping = for_ever("old rate-limit windows", self.limits.sweep, every(SWEEP_SECONDS))
        try:
            async with running(noting, sweeping):
                yield
        finally:
            with suppress(Failure, TimeoutError):
                async with asyncio.timeout(1):
                    await self.authority.note_uses()


def _key_in(scope: Mapping[str, Any]) -> str:
    """RFC 6750 2.1, or our own header."""
    scheme, _, credentials = header(scope, b"authorization").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else header(scope, b"x-api-key")
