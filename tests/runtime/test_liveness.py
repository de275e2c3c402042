"""Signs of life of an attempt: its heartbeat, its progress, and its end when it takes too long."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.domain.events import (
    ClipUploaded,
    SourceReady,
    StageProgress,
)
from libs.common.runtime import liveness
from libs.common.runtime.context import Context
from libs.common.runtime.liveness import heartbeat
from tests.builders import uploaded
from tests.fakes import MemoryDelivery
from tests.runtime.desk import Desk


async def test_work_that_takes_too_long_is_ended_and_tried_again(tmp_path: Path) -> None:
    async def endless(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        await asyncio.Event().wait()
        return uploaded()

    desk = Desk(tmp_path, endless)
    impatient = msgspec.structs.replace(desk.world.settings, clip_max_runtime_sec=0)
    object.__setattr__(desk.world, "settings", impatient)
    assert (await desk.deliver()).did == ["nak"]
    assert "time limit" in desk.store.rows[-1].event.message  # type: ignore[union-attr]


async def chatty(_event: SourceReady, ctx: Context[Any, Any]) -> ClipUploaded:
    for n in (1, 5, 3, 8, 8, 20):
        await ctx.progress(n / 10)
    return uploaded()


async def progress_of(desk: Desk) -> list[float]:
    await desk.deliver()
    return [row.event.progress for row in desk.store.rows if isinstance(row.event, StageProgress)]


async def test_work_that_is_soon_done_writes_no_progress(tmp_path: Path) -> None:
    assert await progress_of(Desk(tmp_path, chatty)) == []


async def test_progress_never_goes_backwards_nor_beyond_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PROGRESS_EVERY", 0.0)
    assert await progress_of(Desk(tmp_path, chatty)) == [0.1, 0.5, 0.8, 1.0]


async def test_the_heart_beats_while_the_work_goes_on() -> None:
    delivery = MemoryDelivery(b"")
    beaten = asyncio.Event()

    async def beat() -> None:
        delivery.did.append("in_progress")
        if len(delivery.did) == 3:
            beaten.set()

    delivery.in_progress = beat  # type: ignore[method-assign]
    async with heartbeat(delivery, 0.001 * 3):
        await asyncio.wait_for(beaten.wait(), 5)
    assert delivery.did == ["in_progress"] * len(delivery.did)
