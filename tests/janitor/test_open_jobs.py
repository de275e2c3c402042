"""How many jobs are open, since when the oldest one runs, and how many are silent: the janitor's gauges of the whole system."""

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from libs.common.domain.events import JobFailed, JobReplayed, StageName
from libs.common.domain.job import Job
from libs.common.runtime.postgres import Connection, Statements
from services.api.read_model import ReadModel
from services.janitor.overdue import Deadlines
from services.janitor.queues import measure_open
from services.janitor.reconciler import mend_all
from tests.builders import envelope, ready, requested, started, uploaded
from tests.janitor.conftest import World
from tests.janitor.steps import ago, job_with, publish_long_ago

FAILED = JobFailed(stage=StageName.CLIPPER, code="SOURCE_UNREADABLE", message="no")
DEADLINES = Deadlines(queued=30, attempt=600, margin=60)


async def nobody_is_told(_connection: Connection, _job: Job) -> None: ...


async def measured(world: World) -> tuple[float | None, float | None]:
    """The number of open jobs, and the age of the oldest run, once the lists know all."""
    model = ReadModel(world.c.pool, world.store, nobody_is_told)
    await world.c.pool.execute("TRUNCATE job_list")
    await model.project([row["job_id"] for row in await world.c.pool.fetch("SELECT DISTINCT job_id FROM job_events")])
    await measure_open(Statements(world.c.pool, "open_jobs.sql", "services.janitor"))
    return REGISTRY.get_sample_value("clip_jobs_open"), REGISTRY.get_sample_value("clip_job_oldest_seconds")


async def test_jobs_that_are_over_are_not_open(world: World) -> None:
    assert await measured(world) == (0, 0)
    await job_with(world, requested(), ready(), uploaded(), seconds_ago=5000)
    await job_with(world, requested(), ready(), FAILED, seconds_ago=5000)
    assert await measured(world) == (0, 0)
    await job_with(world, requested(), seconds_ago=100)
    await job_with(world, requested(with_subtitles=True), ready(), uploaded(), seconds_ago=300)
    assert await measured(world) == (2, pytest.approx(300, abs=20))


async def test_a_replayed_job_is_as_old_as_its_replay(world: World) -> None:
    past = await job_with(world, requested(), ready(), FAILED, seconds_ago=50_000)
    replay = envelope(JobReplayed(stage=StageName.CLIPPER, by="ada", source="DLQ:1"), past[0].job_id, run=2, at=ago(40))
    await world.store.append(replay, expires_at=ago(-1000))
    assert await measured(world) == (1, pytest.approx(40, abs=20))


async def test_jobs_past_their_deadline_are_silent_wherever_their_message_is(world: World) -> None:
    [queued] = await job_with(world, requested())
    await publish_long_ago(world, queued)
    await job_with(world, requested())
    await job_with(world, requested(), ready(), uploaded())
    await job_with(world, requested(), started(StageName.RESOLVER))
    assert await mend_all(world.store, world.bus, DEADLINES, datetime.now(UTC)) == 1
    assert REGISTRY.get_sample_value("clip_jobs_silent") == 2
