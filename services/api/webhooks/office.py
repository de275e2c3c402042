"""What the rest of the API has of webhooks: whether a job may name a URL, the routes' stores, and the sender while the process serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.domain.events import ClipsRequested
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.postgres import Pool
from services.api.requests import Refused
from services.api.settings import ApiSettings
from services.api.webhooks.callback_url import NO_SECRET
from services.api.webhooks.deliveries import Deliveries
from services.api.webhooks.receivers import open_receivers
from services.api.webhooks.sender import Mail, Sender
from services.api.webhooks.signing_secrets import SigningSecrets

FORGOTTEN = timedelta(days=1)
"""After the last moment that a job can have, its deliveries are forgotten too."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    deliveries: Deliveries
    secrets: SigningSecrets | None
    """None where the operator has set no API_SECRET."""

    @classmethod
    def of(cls, settings: ApiSettings, pool: Pool) -> "Webhooks":
        return cls(Deliveries(pool), SigningSecrets(pool, settings.api_secret) if settings.api_secret else None)

    def signing(self) -> SigningSecrets:
        """Raises Failure where there is nothing to sign with."""
        if self.secrets is None:
            raise Failure(Code.INVALID_STATE, "this service is not set up to send webhooks", hint=NO_SECRET)
        return self.secrets

    async def check(self, opening: ClipsRequested, now: datetime) -> None:
        """Raises Refused for a job whose end could not be signed."""
        if opening.callback_url and not await self.signing().live(opening.tenant, now):
            hint = "Make one with POST /api/webhooks/secrets, then send the request again."
            raise Refused("callbackUrl", "callbackUrl needs a signing secret, and you have none", hint=hint)


@asynccontextmanager
async def sending(settings: ApiSettings, webhooks: Webhooks) -> AsyncIterator[None]:
    """Webhooks are sent while inside; none without API_SECRET."""
    if webhooks.secrets is None or settings.callbacks is None:
        yield
        return
    async with open_receivers(settings.callbacks.urls) as receivers:
        keep = timedelta(hours=settings.limits.max_retention_hours) + FORGOTTEN
        async with Sender(Mail(deliveries=webhooks.deliveries, secrets=webhooks.secrets, post=receivers.post, keep=keep)).running():
            yield
