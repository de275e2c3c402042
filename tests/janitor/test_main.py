"""The janitor as a process: what it declares runs, and SIGTERM ends it."""

import asyncio
import json
import os
import sys
from pathlib import Path

from libs.common.domain.events import StageName
from tests.builders import requested
from tests.janitor.conftest import World
from tests.janitor.steps import bury, dead_letter, job_with, letters, until, work_of


async def test_a_janitor_finds_lost_messages_answers_replays_and_ends_when_told(world: World) -> None:
    [lost] = await job_with(world, requested())
    failed = await dead_letter(world)
    environ = {**os.environ, **world.own.variables, "ADVISORIES_EVERY_SEC": "0.2"}
    root = Path(__file__).parents[2]
    janitor = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.janitor", cwd=root, env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: work_of(world), 15)
        assert (await replay(world))["replayed"][0]["jobId"] == str(failed.job_id)
        assert {found.job_id for found in await work_of(world)} == {lost.job_id, failed.job_id}
        await bury(world, failed, StageName.CLIPPER)
        assert (await replay(world))["replayed"] == []
        assert len(await letters(world)) == 1
        janitor.terminate()
        assert await asyncio.wait_for(janitor.wait(), 10) == 0
    finally:
        if janitor.returncode is None:
            janitor.kill()
            await janitor.wait()


async def replay(world: World) -> dict[str, list[dict[str, object]]]:
    answer = await world.bus.client.request("clipstream.dlq.replay", b'{"all":true}', timeout=5)
    told: dict[str, list[dict[str, object]]] = json.loads(answer.data)
    return told
