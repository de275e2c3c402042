"""A whole job whose files are lost is made again by the stack that made it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest

from libs.common.domain.job import fold
from libs.common.runtime.postgres import Statements
from libs.common.runtime.service import connections
from libs.common.runtime.settings import load
from services.janitor.findings import Finding, Seen
from services.janitor.missing import MissingFiles
from services.janitor.settings import JanitorSettings
from tests.whole_stack import System

pytestmark = pytest.mark.timeout(300)


async def test_a_finished_job_whose_whole_folder_is_lost_comes_back(system: System, spoken: Path) -> None:
    job_id = await system.submit(spoken, start=1, end=7, withSubtitles=True, burnSubtitles=True)
    before = await system.until(job_id, status="done")
    settings = load(JanitorSettings, system.stack.environ)
    async with connections(settings, "test") as c:
        await c.health.until_up()
        keys = [found.key async for found in c.objects.results.list(f"results/{job_id}/")]
        await c.objects.results.delete(keys)
        told: list[Finding] = []
        sql = Statements(c.pool, "storage.sql", "services.janitor")
        later = lambda: datetime.now(UTC) + timedelta(hours=2)  # noqa: E731  a clock
        look = MissingFiles(sql, c, settings, told.append, Seen(), act=True, now=later, is_sure=True)
        await look.settle(fold(await c.store.history(UUID(job_id))))
        assert [finding.repaired for finding in told] == [True]
        after = await system.until(job_id, status="done")
        assert {found.key async for found in c.objects.results.list(f"results/{job_id}/")} == set(keys)
    changing = {"events", "updatedAt"}
    assert {name: value for name, value in after.items() if name not in changing} == {
        name: value for name, value in before.items() if name not in changing
    }
    async with system.http.get(f"/api/jobs/{job_id}/result") as answer:
        url = (await answer.json())["result"]["burnedVideo"]["url"]
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as file:
        assert file.status == 200
        assert len(await file.read()) > 1000
