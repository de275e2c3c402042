"""A worker's word on itself, sent every two seconds for whoever listens. Best effort: nothing waits for it, nothing hangs on it."""

import asyncio
from collections.abc import Mapping

import msgspec
import nats.errors
from nats.aio.client import Client

from libs.common.domain.events import StageName
from libs.common.domain.worker_reports import EVERY, WorkerReport, subject_of
from libs.common.runtime.logs import logger
from libs.common.runtime.pull import Places
from libs.common.runtime.scratch import MIB, ScratchRoom

log = logger(__name__)


async def send_reports(client: Client, worker: str, room: ScratchRoom, stages: Mapping[StageName, Places]) -> None:
    """The task: report until cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        for stage, places in stages.items():
            await _send(client, subject_of(stage), report(worker, room, places))


def report(worker: str, room: ScratchRoom, places: Places) -> WorkerReport:
    return WorkerReport(
        worker=worker,
        in_hand=places.in_hand,
        places=places.count,
        scratch_free_mb=room.space.free // MIB,
        scratch_used_mb=room.space.used // MIB,
        full=room.is_full,
    )


async def _send(client: Client, subject: str, said: WorkerReport) -> None:
    if not client.is_connected:  # nats-py would keep it, and send a heap of old ones when the server is back
        return
    try:
        await client.publish(subject, msgspec.json.encode(said))
    except (nats.errors.Error, OSError) as error:
        log.debug("report not sent", error=type(error).__name__)
