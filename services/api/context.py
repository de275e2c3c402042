"""What a route may touch, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from nats.aio.client import Client

from libs.common.runtime.event_store import EventStore
from libs.common.runtime.health import Health
from libs.common.runtime.object_store import ObjectStore
from services.api.door import Door
from services.api.event_streams import EventStreams
from services.api.idempotency import IdempotencyKeys
from services.api.intake import Intake
from services.api.overview_counts import Overview
from services.api.pressure import Pressure
from services.api.queue import Queue
from services.api.read_model import ReadModel
from services.api.requests import Limits
from services.api.settings import ApiSettings
from services.api.upload_rows import UploadRows
from services.api.webhooks.office import Webhooks

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One process's connections and settings; every route gets it as `api`."""

    settings: ApiSettings
    store: EventStore
    objects: ObjectStore
    health: Health
    intake: Intake
    pressure: Pressure
    model: ReadModel
    queue: Queue
    overview: Overview
    uploads: UploadRows
    idempotency: IdempotencyKeys
    nats: Client
    door: Door
    event_streams: EventStreams
    webhooks: Webhooks
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    limits: Limits = field(init=False)
    """Those of the settings, made once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", self.settings.limits)


Given = NamedDependency[SkipValidation[Api]]
