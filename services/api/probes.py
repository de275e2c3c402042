"""Routes for the operator: is it alive, is it ready, what does it count."""

from typing import Annotated, Literal

from litestar import MediaType, Response, get
from msgspec import Meta
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from libs.common.domain.failures import Code
from libs.common.runtime.health import Health
from services.api.context import Given
from services.api.openapi import Described
from services.api.views import View

COUNTS = Described(
    summary="Prometheus metrics",
    gives=str,
    media_type="text/plain",
    refuses=(Code.UNAUTHORIZED, Code.FORBIDDEN, Code.RATE_LIMITED, Code.RETRYABLE_ERROR),
)


class Alive(View, frozen=True, kw_only=True):
    status: Literal["alive"] = "alive"


class DependencyView(View, frozen=True, kw_only=True):
    up: bool
    latency_ms: Annotated[float, Meta(description="Of the last ping.")]


class Readiness(View, frozen=True, kw_only=True):
    """degraded: ready, with something away."""

    status: Literal["ready", "degraded", "unready"]
    dependencies: dict[str, DependencyView]


@get("/healthz", described=Described(summary="Whether this process is alive", gives=Alive))
async def healthz() -> Alive:
    """Asks nothing of what the service depends on: an outage must not restart it."""
    return Alive()


@get("/readyz", described=Described(summary="Whether this process is ready", gives=Readiness, also=(503,)))
async def readyz(api: Given) -> Response[Readiness]:
    """503 while the database is away; `degraded` while NATS or S3 is. Each dependency with its last latency."""
    answer = readiness(api.health)
    return Response(answer, status_code=503 if answer.status == "unready" else 200)


def readiness(health: Health) -> Readiness:
    views = {name: DependencyView(up=pulse.up, latency_ms=round(pulse.latency * 1000, 2)) for name, pulse in health.pulses.items()}
    return Readiness(
        status=health.readiness,
        dependencies=views,
    )


@get("/metrics", described=COUNTS, media_type=MediaType.TEXT, guarded_with_keys=True)
async def metrics() -> Response[bytes]:
    """The same text as on the internal port. Where API keys are asked for, this needs one with the scope admin."""
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})
