"""A worker process that tests stop and wake: the four stages, of which the resolver is slow at a job's first call.

`python -m tests.chaos.worker FOLDER`, settings from the environment. Its diary is FOLDER/diary: one line a call, `what job pid`.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from libs.common.domain.events import Answer, SourceReady, StageName
from libs.common.runtime.context import Context
from libs.common.runtime.event_store import open_event_store
from libs.common.runtime.health import Health
from libs.common.runtime.logs import set_up_logs
from libs.common.runtime.service import stop_signal
from libs.common.runtime.settings import CommonSettings, from_environment
from libs.common.runtime.world import World
from tests.chaos.chain import Handler, answer_of, at_work
from tests.runtime.own_nats import connected_bus

FIRST = "first"
"""In a job's metadata: seconds that the first call for it takes."""


def handler_of(folder: Path, name: StageName) -> Handler:
    async def handle(_event: Any, ctx: Context[Any, Any]) -> Answer:
        answer = answer_of(name, ctx.job_id)
        if isinstance(answer, SourceReady):
            await slowly(folder, ctx)
            return msgspec.structs.replace(answer, size=os.getpid())
        return answer

    return handle


async def slowly(folder: Path, ctx: Context[Any, Any]) -> None:
    seconds = float(ctx.job.requested.metadata[FIRST]) if ctx.job.requested and is_first(folder / str(ctx.job_id)) else 0.0
    note(folder, "called", ctx.job_id)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(folder, "stopped", ctx.job_id)
        raise
    note(folder, "finished", ctx.job_id)


def is_first(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def note(folder: Path, what: str, job_id: UUID) -> None:
    with (folder / "diary").open("a") as diary:
        diary.write(f"{what} {job_id} {os.getpid()}\n")


async def main(folder: Path) -> None:
    settings = from_environment(CommonSettings)
    set_up_logs("worker", settings.log_level)
    stopping = stop_signal()
    async with connected_bus(settings.nats_url.reveal()) as bus, open_event_store(settings.database_url.reveal()) as store:
        health = Health({"nats": bus.ping, "postgres": store.ping})
        world = World(store=store, bus=bus, objects=None, health=health, settings=settings)  # type: ignore[arg-type]
        async with at_work(world, lambda name: handler_of(folder, name)):
            await stopping.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
