"""Keys in the database. Rows are never deleted: a revoked key stays listed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.runtime.postgres import Pool, Statements
from services.api.caller import Scope
from services.api.keys import Credentials, Key, Pepper, new_credentials

Uses = dict[UUID, datetime]
"""When each key was last used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """A key to be made. Without a tenant it is one of its own."""

    name: str
    scopes: frozenset[Scope]
    tenant: str | None = None
    expires_at: datetime | None = None
    rate_limit: int | None = None
    max_active_jobs: int | None = None


class KeyStore:
    """Every call raises Failure where the database is away."""

    def __init__(self, pool: Pool, pepper: Pepper) -> None:
        self._statements = Statements(pool, "key_store.sql", "services.api")
        self._pepper = pepper

    async def create(self, wish: KeyWish) -> tuple[Credentials, Key]:
        """The credentials are nowhere else, and can't be had again."""
        fresh = new_credentials()
        limits = (wish.expires_at, wish.rate_limit, wish.max_active_jobs)
        values = (UUID(fresh.id), wish.name, wish.tenant or fresh.id, sorted(wish.scopes), self._pepper.hash(fresh), *limits)
        return fresh, _key(await self._statements.row("add_key", *values))

    async def find(self, key_id: str) -> Key | None:
        row = await self._statements.row("find_key", UUID(key_id))
        return _key(row) if row else None

    async def page(self, limit: int, after: UUID | None = None) -> list[Key]:
        """Newest first, those that are older than `after`."""
        return [_key(row) for row in await self._statements.rows("list_keys", limit, after)]

    async def revoke(self, key_id: UUID) -> Key | None:
        """None for an unknown one. The time of the first revocation stands."""
        row = await self._statements.row("revoke_key", key_id)
        return _key(row) if row else None

    async def rotate(self, key_id: UUID, *, old_until: datetime, new_until: datetime | None) -> tuple[Credentials, Key] | None:
        """A new key for the same tenant, scopes and limits; None where the old one is unknown, replaced or good no more."""
        fresh = new_credentials()
        row = await self._statements.row("rotate_key", key_id, UUID(fresh.id), self._pepper.hash(fresh), old_until, new_until)
        return (fresh, _key(row)) if row else None

    async def note_uses(self, uses: Uses) -> None:
        if uses:
            await self._statements.rows("note_uses", list(uses), list(uses.values()))


def _key(row: Any) -> Key:
    return Key(**{**row, "scopes": frozenset(map(Scope, row["scopes"]))})
