"""A job's place in the queue, and what is told of the time that it will take."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.common.domain.events import StageName
from services.api.queue import NEAR, Pace, Queue, waiting, working
from services.api.views import Outlook
from tests.api.conftest import Running
from tests.api.test_jobs import created
from tests.builders import envelope, started


async def position(api: Running, job_id: str) -> int:
    return int((await api.http.get(f"/api/jobs/{job_id}")).json()["job"]["queuePosition"])


async def nobody_waits(api: Running) -> None:
    """Other tests' jobs wait for ever, and far places are not told exactly."""
    await api.to.pool.execute("DELETE FROM job_list WHERE status = 'queued'")


async def test_a_job_waits_behind_those_that_came_before_and_those_that_go_first(api: Running) -> None:
    await nobody_waits(api)
    first, second, bulk = [(await created(api, priority=lane)).json()["job"]["id"] for lane in ("normal", "normal", "bulk")]
    places = [await position(api, job_id) for job_id in (first, second, bulk)]
    assert places == sorted(places)
    assert places[1] == places[0] + 1
    assert places[2] > places[1]
    (await created(api, priority="fast")).raise_for_status()
    assert [await position(api, job_id) for job_id in (first, second)] == [places[0] + 1, places[1] + 1]


async def test_a_far_place_is_told_to_the_hundred_without_counting_all_before_it(api: Running) -> None:
    """In a lane of its own, before all others."""
    began, row = datetime(2020, 1, 1, tzinfo=UTC), "INSERT INTO job_list SELECT gen_random_uuid(), 'line', '', NULL, 'upload', -1, 'queued'"
    times = "$1::timestamptz + n * interval '1 s', NULL, NULL, 1 FROM generate_series(0, 2999) AS n"
    await api.to.pool.execute(f"{row}, {times}", began)
    queue = Queue((await statements(api)).sql)
    places = [await queue._before((-1, began + timedelta(seconds=n), UUID(int=0))) for n in (0, NEAR - 1, NEAR, 999, 1000, 2555)]
    await api.to.pool.execute("DELETE FROM job_list WHERE tenant = 'line'")
    assert places == [0, NEAR - 1, NEAR, 900, 1000, 2500]


async def test_a_job_at_work_has_no_place(api: Running) -> None:
    job_id = (await created(api)).json()["job"]["id"]
    await api.to.store.append(envelope(started(StageName.RESOLVER), UUID(job_id)))
    assert "queuePosition" not in (await api.http.get(f"/api/jobs/{job_id}")).json()["job"]


async def test_the_pace_is_that_of_the_jobs_that_ended_lately(api: Running) -> None:
    queue = Queue((await statements(api)).sql)
    now = datetime.now(UTC)
    await api.to.pool.execute("UPDATE job_list SET ended_at = ended_at - interval '1 day' WHERE ended_at > now() - interval '10 min'")
    assert await queue.pace() == Pace()
    row = "INSERT INTO job_list VALUES (gen_random_uuid(), 'pace', '', NULL, 'upload', 1, 'done', $1, $2, $3, 9)"
    for seconds in (10, 20, 30):
        ended = now - timedelta(seconds=seconds)
        await api.to.pool.execute(row, ended, ended - timedelta(seconds=4), ended)
    pace = await Queue((await statements(api)).sql).pace()
    assert pace.rate == pytest.approx(0.1, rel=0.1)
    assert pace.typical == pytest.approx(4.0)
    await api.to.pool.execute("DELETE FROM job_list WHERE tenant = 'pace'")


async def statements(api: Running):
    from tests.api.test_job_list import model  # noqa: PLC0415

    return model(api)


def test_the_time_is_told_by_place_and_pace() -> None:
    assert waiting(5, Pace()) == Outlook(5)
    assert waiting(5, Pace(0.5, 3.0)) == Outlook(5, 13.0)
    assert working(2.0, Pace(0.5, 3.0)) == Outlook(None, 1.0)
    assert working(20.0, Pace(0.5, 3.0)) == Outlook(None, 1.0)
    assert working(1.0, Pace()) == Outlook()
