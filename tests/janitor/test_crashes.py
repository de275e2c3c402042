"""The janitor dies between its steps, by a fault point that kills it, and the next one, or a second request, finishes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.domain.events import JobFailed, JobReplayed, LetterDiscarded, StageName
from libs.common.domain.subjects import ADVISORIES, CLIPS, DLQ, canary
from libs.common.runtime.background import running
from libs.common.runtime.service import Connections
from services.janitor.advisories import Rescue
from services.janitor.dlq_service import serve_dead_letters
from services.janitor.retention import retire
from services.janitor.settings import JanitorSettings
from services.janitor.unadvised import rescue_given_up
from tests.builders import ready, requested
from tests.janitor.conftest import World
from tests.janitor.desk import asked, described
from tests.janitor.steps import ago, dead_letter, job_of, letters, messages, until, work_of
from tests.janitor.test_advisories import poisoned
from tests.janitor.test_retention import files_of, finished_job

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def janitor(world: World, faults: Path, *fault: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A janitor of its own, with these faults to meet; killed on leaving, if it lives."""
    faults.mkdir(exist_ok=True)
    for place in fault:
        (faults / "new").touch()
        (faults / "new").rename(faults / place)
    quick = {"FAULT_POINTS_DIR": str(faults), "ADVISORIES_EVERY_SEC": "0.2", "RECONCILE_EVERY_SEC": "3600"}
    environ = {**os.environ, **world.own.variables, **quick}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.janitor", cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def at_work(world: World, task: Callable[[JanitorSettings, Connections], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """The next janitor, of which this is the task that matters, in this process."""
    settings = msgspec.structs.replace(world.settings, advisories_every_sec=0.2)
    async with running(task(settings, world.c)):
        yield


async def is_there(world: World) -> None:
    await until(lambda: described(world.bus.client), 20)


async def killed(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("step", ["replay_recorded", pytest.param("replay_published", marks=pytest.mark.thorough)])
async def test_a_replay_that_a_crash_cut_short_is_finished_by_asking_again(world: World, tmp_path: Path, step: str) -> None:
    cause = await dead_letter(world)
    async with janitor(world, tmp_path / "faults", f"janitor.{step}") as process:
        await is_there(world)
        with pytest.raises(TimeoutError):
            await world.bus.client.request("clipstream.dlq.replay", b'{"seq":1,"by":"ada"}', timeout=2)
        await killed(process)
    assert await letters(world) == [1]
    async with at_work(world, serve_dead_letters):
        await is_there(world)
        assert (await asked(world, "replay", seq=1, by="bob"))["replayed"][0]["run"] == 2
    replays = [each.event for each in await world.store.history(cause.job_id) if isinstance(each.event, JobReplayed)]
    assert [replay.by for replay in replays] == ["ada"]
    assert [(found.job_id, found.run) for found in await work_of(world)] == [(cause.job_id, 2)]
    assert await letters(world) == []


async def test_a_discard_that_a_crash_cut_short_is_finished_by_asking_again(world: World, tmp_path: Path) -> None:
    cause = await dead_letter(world)
    async with janitor(world, tmp_path / "faults", "janitor.discarded") as process:
        await is_there(world)
        with pytest.raises(TimeoutError):
            await world.bus.client.request("clipstream.dlq.discard", b'{"seq":1,"by":"ada"}', timeout=2)
        await killed(process)
    assert await letters(world) == [1]
    async with at_work(world, serve_dead_letters):
        await is_there(world)
        assert len((await asked(world, "discard", seq=1, by="bob"))["discarded"]) == 1
    discards = [each.event for each in await world.store.history(cause.job_id) if isinstance(each.event, LetterDiscarded)]
    assert [discard.by for discard in discards] == ["ada"]
    assert await letters(world) == []


@pytest.mark.parametrize("step", ["rescue_buried", pytest.param("rescue_failed", marks=pytest.mark.thorough)])
async def test_a_rescue_that_a_crash_cut_short_is_finished_by_the_next_janitor(world: World, tmp_path: Path, step: str) -> None:
    """The advisory came while no janitor ran."""
    cause, _ = await poisoned(world, requested(), ready(), stage=StageName.CLIPPER)
    async with janitor(world, tmp_path / "faults", f"janitor.{step}") as process:
        await outlived(world, process)
    assert len(await messages(world.bus, CLIPS)) == 1
    async with at_work(world, rescue_given_up):
        await until(lambda: nothing_in(world, ADVISORIES), 20)
    assert (await job_of(world, cause.job_id)).status == "failed"
    assert [type(each.event) for each in await world.store.history(cause.job_id)].count(JobFailed) == 1
    assert len([letter for letter in await messages(world.bus, DLQ) if letter.subject != canary(DLQ)]) == 1
    assert await messages(world.bus, CLIPS) == []


async def outlived(world: World, process: asyncio.subprocess.Process) -> None:
    """It is killed, and its leases are over, which else takes ten seconds."""
    await killed(process)
    await world.c.pool.execute("UPDATE leases SET expires_at = now()")


async def nothing_in(world: World, stream: str) -> bool:
    return await messages(world.bus, stream) == []


async def test_two_janitors_that_heed_the_same_advisory_leave_one_letter_and_one_failure(world: World) -> None:
    """Each believes that it holds the lease, as after a connection that Postgres lost and the janitor did not."""
    cause, _ = await poisoned(world, requested(), ready(), stage=StageName.CLIPPER)
    await asyncio.gather(*(Rescue(world.store, world.bus).heed_all() for _ in range(2)))
    assert len(await messages(world.bus, DLQ)) == 1
    assert [type(each.event) for each in await world.store.history(cause.job_id)].count(JobFailed) == 1
    assert await messages(world.bus, CLIPS) == []
    assert await messages(world.bus, ADVISORIES) == []


@pytest.mark.parametrize("step", ["expiry_marked", pytest.param("expiry_emptied", marks=pytest.mark.thorough)])
async def test_a_clean_up_that_a_crash_cut_short_is_finished_by_the_next_janitor(world: World, tmp_path: Path, step: str) -> None:
    jobs = [await finished_job(world, expires_at=ago(1)) for _ in range(3)]
    async with janitor(world, tmp_path / "faults", f"janitor.{step}") as process:
        await outlived(world, process)
    assert [len(await world.store.history(job_id)) for job_id in jobs] == [6, 6, 6]
    async with at_work(world, retire):
        await until(lambda: all_gone(world, jobs), 20)
    assert [(await job_of(world, job_id)).status for job_id in jobs] == ["expired"] * 3


async def all_gone(world: World, jobs: list[UUID]) -> bool:
    return not [key for job_id in jobs for key in await files_of(world, job_id)] and all(
        [len(await world.store.history(job_id)) == 1 for job_id in jobs]
    )
