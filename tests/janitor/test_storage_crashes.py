"""The look through the storage breaks off between any two of its steps, and the next one finishes. On the real servers."""

import os
import sys
from asyncio import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from libs.common.domain.events import JobReplayed
from libs.common.domain.failures import Failure
from libs.common.runtime import fault_points
from services.janitor.overdue import Deadlines
from services.janitor.reconciler import mend_all
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_of, until, work_of
from tests.janitor.storage import files, finished_job, keys, looked, put, variables
from tests.janitor.test_crashes import ROOT, killed


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Path]:
    fault_points.arm(tmp_path)
    yield tmp_path
    fault_points.arm(None)


@pytest.mark.parametrize("step", ["orphans_found", "orphans_removed"])
async def test_a_removal_that_was_cut_short_is_finished_by_the_next_look(own: World, faults: Path, step: str) -> None:
    whole = await finished_job(own)
    await put(own.objects.results, *files(uuid4()))
    (faults / f"janitor.{step}").write_text("INTERNAL")
    with pytest.raises(Failure):
        await looked(own)
    await looked(own)
    assert set(await keys(own.objects.results)) == set(files(whole))


@pytest.mark.parametrize("step", ["repair_chosen", "repair_recorded", "repair_published"])
async def test_a_repair_that_was_cut_short_is_finished_and_happens_once(own: World, faults: Path, step: str) -> None:
    job_id = await finished_job(own)
    await own.objects.results.delete([f"results/{job_id}/clip.srt"])
    (faults / f"janitor.{step}").write_text("INTERNAL")
    await looked(own)
    await looked(own)
    await mend_all(own.store, own.bus, Deadlines(queued=0.001, attempt=600, margin=0.001), ago(-1))
    assert [type(each.event) for each in await own.store.history(job_id)].count(JobReplayed) == 1
    assert [(work.job_id, work.run) for work in await work_of(own)] == [(job_id, 2)]


async def test_a_janitor_that_is_killed_behind_a_repair_s_record_is_followed_by_one_that_publishes(own: World, tmp_path: Path) -> None:
    job_id = await finished_job(own)
    await own.objects.results.delete([f"results/{job_id}/clip.srt"])
    (tmp_path / "janitor.repair_recorded").touch()
    quick = {"RECONCILE_EVERY_SEC": "0.2", "RECONCILE_QUEUED_SEC": "0.2", "RECONCILE_MARGIN_SEC": "0.2", "FAULT_POINTS_DIR": str(tmp_path)}
    environ = {**os.environ, **variables(own), **quick}
    command = (sys.executable, "-m", "services.janitor")
    first = await subprocess.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    await killed(first)
    assert ((await job_of(own, job_id)).run, await work_of(own)) == (2, [])
    second = await subprocess.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
    try:
        await until(lambda: work_of(own), 40)
    finally:
        second.kill()
        await second.wait()
    assert {(work.job_id, work.run) for work in await work_of(own)} == {(job_id, 2)}
