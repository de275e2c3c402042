"""Routes of webhooks: signing secrets made, listed and ended; a job's deliveries shown and sent again."""

from typing import Any
from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath
from msgspec import Struct

from libs.common.domain.failures import Code, Failure
from services.api.caller import Scope, caller_of, correlation_of
from services.api.context import AnyRequest, Api, Given
from services.api.openapi import Described
from services.api.stored_jobs import history_of, living
from services.api.webhooks.deliveries import DeliveryView
from services.api.webhooks.signing_secrets import NewSecret, SecretView


class NewSecretAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keep the secret: it is never shown again."""

    correlation_id: str
    secret: NewSecret


class SecretsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The live ones, newest first."""

    correlation_id: str
    secrets: list[SecretView]


class DeliveriesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One for each time that the job came to an end."""

    correlation_id: str
    deliveries: list[DeliveryView]


class DeliveryAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    correlation_id: str
    delivery: DeliveryView


MAKES = Described(
    summary="Make a signing secret for webhooks",
    gives=NewSecretAnswer,
    scope=Scope.WRITE,
    refuses=(Code.INVALID_STATE, Code.RETRYABLE_ERROR),
)
LISTS = Described(
    summary="List the signing secrets of webhooks",
    gives=SecretsAnswer,
    scope=Scope.READ,
    refuses=(Code.INVALID_STATE, Code.RETRYABLE_ERROR),
)
ENDS = Described(
    summary="End a signing secret of webhooks",
    gives=SecretsAnswer,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.INVALID_STATE, Code.RETRYABLE_ERROR),
)
SHOWS = Described(
    summary="Show a job's webhooks and every attempt to deliver them",
    gives=DeliveriesAnswer,
    scope=Scope.READ,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.RETRYABLE_ERROR),
)
SENDS = Described(
    summary="Deliver a webhook again",
    gives=DeliveryAnswer,
    scope=Scope.WRITE,
    refuses=(Code.NOT_FOUND, Code.GONE, Code.INVALID_STATE, Code.RETRYABLE_ERROR),
)


@post("/api/webhooks/secrets", status_code=201, described=MAKES)
async def make_webhook_secret(api: Given, request: AnyRequest) -> NewSecretAnswer:
    """It signs at once. The one before it goes on signing too for 24 hours, or until you end it; older ones end now."""
    made = await api.webhooks.signing().make(caller_of(request).tenant, api.now())
    return NewSecretAnswer(correlation_id=correlation_of(request), secret=made)


@get("/api/webhooks/secrets", described=LISTS)
async def list_webhook_secrets(api: Given, request: AnyRequest) -> SecretsAnswer:
    """Their ids and times, never the secrets themselves."""
    return await _secrets(api, request)


@delete("/api/webhooks/secrets/{secret_id:str}", status_code=200, described=ENDS)
async def end_webhook_secret(secret_id: FromPath[str], api: Given, request: AnyRequest) -> SecretsAnswer:
    """Nothing is signed with it any more; gives those that are left. If it was the newest, the one before it goes on without an end.

    Without any, webhooks wait for a new one.
    """
    parsed = _parsed(secret_id)
    if parsed is None or not await api.webhooks.signing().end(caller_of(request).tenant, parsed, api.now()):
        raise Failure(Code.NOT_FOUND, "there is no such secret")
    return await _secrets(api, request)


@get("/api/jobs/{job_id:str}/webhooks", described=SHOWS)
async def list_webhooks(job_id: FromPath[str], api: Given, request: AnyRequest) -> DeliveriesAnswer:
    """What was, or is to be, told to the job's callbackUrl, and what came of it."""
    deliveries = await api.webhooks.deliveries.of_job(await _job(api, request, job_id))
    return DeliveriesAnswer(correlation_id=correlation_of(request), deliveries=deliveries)


@post("/api/jobs/{job_id:str}/webhooks/{delivery_id:str}/redeliver", status_code=202, described=SENDS)
async def redeliver_webhook(job_id: FromPath[str], delivery_id: FromPath[str], api: Given, request: AnyRequest) -> DeliveryAnswer:
    """At once, whatever became of it before, with the same webhook-id; and for a day again if that fails."""
    job, delivery = await _job(api, request, job_id), _parsed(delivery_id)
    api.webhooks.signing()
    again = await api.webhooks.deliveries.again(job, delivery, api.now()) if delivery else None
    if again is None:
        raise Failure(Code.NOT_FOUND, "the job has no such webhook")
    return DeliveryAnswer(correlation_id=correlation_of(request), delivery=again)


WEBHOOK_ROUTES: list[Any] = [make_webhook_secret, list_webhook_secrets, end_webhook_secret, list_webhooks, redeliver_webhook]


async def _secrets(api: Api, request: AnyRequest) -> SecretsAnswer:
    live = await api.webhooks.signing().live(caller_of(request).tenant, api.now())
    return SecretsAnswer(correlation_id=correlation_of(request), secrets=live)


async def _job(api: Api, request: AnyRequest, job_id: str) -> UUID:
    """Raises Failure for a job that is unknown, another's, or expired."""
    job = living(await history_of(api, request, job_id))
    assert job.id  # noqa: S101  every living job has one
    return job.id


def _parsed(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
