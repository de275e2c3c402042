"""A tenant's signing secrets: at most two are live, so that one can follow the other while receivers change. SQL in signing_secrets.sql."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.runtime.postgres import Pool, Statements
from libs.common.runtime.settings import Secret
from services.api.keys import derived
from services.api.webhooks.signatures import shown, signing_key

OVERLAP = timedelta(hours=24)
"""How long the secret before the newest goes on."""


class SecretView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Without the secret itself."""

    id: UUID
    created_at: datetime
    expires_at: Annotated[datetime | UnsetType, Meta(description="When it signs no more; absent for the newest.")] = UNSET


class NewSecret(Struct, frozen=True, kw_only=True, rename="camel"):
    id: UUID
    secret: Annotated[str, Meta(description="What webhooks are signed with, as Standard Webhooks writes it. Shown only now.")]
    created_at: datetime


class SigningSecrets:
    def __init__(self, pool: Pool, api_secret: Secret) -> None:
        self._sql = Statements(pool, "signing_secrets.sql", __package__)
        self._root = derived(api_secret, b"clip webhooks")

    async def make(self, tenant: str, now: datetime) -> NewSecret:
        """A new one; the newest before it goes on for a day, any other one ends now."""
        secret_id = uuid4()
        async with self._sql.transaction("make_webhook_secret") as connection:
            await connection.execute(self._sql["lock"], tenant)
            await connection.execute(self._sql["age"], tenant, now, now + OVERLAP)
            await connection.execute(self._sql["make"], secret_id, tenant, now)
        return NewSecret(id=secret_id, secret=shown(self._key(tenant, secret_id)), created_at=now)

    async def live(self, tenant: str, now: datetime) -> list[SecretView]:
        """Newest first."""
        rows = await self._sql.rows("live", tenant, now)
        return [SecretView(id=row["id"], created_at=row["created_at"], expires_at=row["expires_at"] or UNSET) for row in rows]

    async def keys(self, tenant: str, now: datetime) -> list[bytes]:
        """What signs at this moment, newest first."""
        return [self._key(tenant, row["id"]) for row in await self._sql.rows("live", tenant, now)]

    async def end(self, tenant: str, secret_id: UUID, now: datetime) -> bool:
        """Where it was the newest, the one before it is the newest again and goes on. False when the tenant has no such live secret."""
        async with self._sql.transaction("end_webhook_secret") as connection:
            await connection.execute(self._sql["lock"], tenant)
            ended = await connection.fetchval(self._sql["end"], secret_id, tenant, now)
            await connection.execute(self._sql["newest"], tenant, now)
        return ended is not None

    async def sweep(self, before: datetime) -> None:
        await self._sql.rows("sweep", before)

    def _key(self, tenant: str, secret_id: UUID) -> bytes:
        return signing_key(self._root, tenant, secret_id)
