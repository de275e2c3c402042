"""What one API process is made of, and what runs in it beside the requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from libs.common.runtime.background import running
from libs.common.runtime.news import listen
from libs.common.runtime.service import Connections
from services.api.context import Api
from services.api.door import Door
from services.api.event_streams import EventStreams
from services.api.idempotency import IdempotencyKeys
from services.api.intake import Intake
from services.api.job_opening import JobOpening
from services.api.overview_counts import Overview
from services.api.pressure import Pressure
from services.api.queue import Queue
from services.api.read_model import ReadModel
from services.api.settings import ApiSettings
from services.api.upload_rows import UploadRows
from services.api.webhooks.office import Webhooks, sending
from services.api.webhooks.outbox import enqueue

LAST_PUBLISHES = 5.0
"""Seconds that publishes under way get at the end; the reconciler repeats what they lose."""


def api_of(settings: ApiSettings, to: Connections) -> Api:
    """Its parts; none of them does anything of itself yet."""
    model = ReadModel(to.pool, to.store, enqueue)
    intake = Intake(JobOpening(model, to.store), to.bus)
    return Api(
        settings=settings,
        store=to.store,
        objects=to.objects,
        health=to.health,
        intake=intake,
        pressure=Pressure(settings.worker_queue_high_watermark, bus=to.bus, store=to.store, intake=intake),
        nats=to.bus.client,
        door=Door(settings, to.pool),
        model=model,
        queue=Queue(model.sql),
        overview=Overview(to.pool, to.bus),
        uploads=UploadRows(to.pool),
        idempotency=IdempotencyKeys(to.pool),
        webhooks=Webhooks.of(settings, to.pool),
        event_streams=EventStreams(to.pool, partial(listen, to.bus.client), most=settings.event_streams_max),
    )


@asynccontextmanager
async def assembled(settings: ApiSettings, to: Connections) -> AsyncIterator[Api]:
    """Everything at work while inside."""
    api = api_of(settings, to)
    try:
        async with (
            api.pressure.watched(),
            api.door.kept(),
            running(api.model.follow(), api.idempotency.swept()),
            sending(settings, api.webhooks),
        ):
            yield api
    finally:
        await asyncio.wait([asyncio.create_task(api.intake.settled())], timeout=LAST_PUBLISHES)
