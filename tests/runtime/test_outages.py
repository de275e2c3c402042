"""An outage costs a message time, and no attempt."""

import asyncio
from pathlib import Path
from typing import Any

from libs.common.domain.events import (
    ClipUploaded,
    SourceReady,
    StageRetried,
)
from libs.common.domain.failures import Code, Failure
from libs.common.runtime.context import Context
from tests.builders import uploaded
from tests.runtime.desk import Desk, failing


async def test_an_outage_holds_the_message_and_costs_no_attempt(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(*[Failure(Code.STORAGE_UNAVAILABLE, "away", outage="postgres")] * 2))
    desk.postgres.is_on = False
    work = asyncio.create_task(desk.deliver())
    await desk.postgres.asked.wait()
    assert not work.done()
    desk.postgres.is_on = True
    assert (await work).did == ["ack"]
    assert desk.types == ["stage.started", "clip.uploaded"]
    assert desk.calls == 3


async def test_an_outage_that_comes_again_and_again_costs_no_attempt_either(tmp_path: Path) -> None:
    left = 7

    async def flapping(_event: SourceReady, _ctx: Context[Any, Any]) -> ClipUploaded:
        nonlocal left
        left -= 1
        if left:
            desk.postgres.returns_when_asked()
            raise Failure(Code.STORAGE_UNAVAILABLE, "away", outage="postgres")
        return uploaded()

    desk = Desk(tmp_path, flapping)
    assert (await desk.deliver()).did == ["ack"]
    assert desk.types == ["stage.started", "clip.uploaded"]


async def test_a_failure_that_calls_itself_an_outage_while_all_is_well_is_charged_in_the_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, failing(*[Failure(Code.STORAGE_UNAVAILABLE, "this key", outage="s3")] * 99))
    assert (await desk.deliver()).did == ["nak"]
    assert isinstance(desk.store.rows[-1].event, StageRetried)
