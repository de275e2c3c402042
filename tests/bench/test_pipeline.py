"""The benchmark of the pipeline: its judge, its counts, its verdicts, and a round of ours on real servers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from bench.figures import Figure
from bench.pipeline.durability import problems, sync_seconds
from bench.pipeline.judge import wrong
from bench.pipeline.measured import figures
from bench.pipeline.ours import Alone, Many, many, one_by_one
from bench.pipeline.peer import BARE_CHAIN, LOCK, NOTIFIED, POLLING, SOURCES, versions
from bench.pipeline.program import running
from bench.pipeline.rounds import OURS, Found, Rounds
from bench.pipeline.spending import Spent, calls_in, in_flight_in
from bench.pipeline.system import System, open_servers, open_system
from libs.common.domain.events import Envelope, StageName
from libs.common.runtime.postgres import open_pool
from tests.builders import burned, history, ready, requested, started, transcribed, uploaded

METRICS = """\
# TYPE clip_dependency_seconds histogram
clip_dependency_seconds_bucket{dependency="postgres",le="+Inf",operation="history"} 4.0
clip_dependency_seconds_count{dependency="postgres",operation="history"} 4.0
clip_dependency_seconds_sum{dependency="postgres",operation="history"} 0.2
clip_dependency_seconds_count{dependency="postgres",operation="ping"} 9.0
clip_dependency_seconds_count{dependency="nats",operation="ack"} 3.0
clip_dependency_seconds_count{dependency="s3",operation="head_bucket"} 2.0
# TYPE clip_stage_in_flight gauge
clip_stage_in_flight{stage="asr"} 2.0
clip_stage_in_flight{stage="clipper"} 0.0
# TYPE clip_events_total counter
clip_events_total{type="source.ready"} 1.0
"""
JOBS = 12
NOBODY = "http://127.0.0.1:1"


def whole() -> list[Envelope]:
    resolver, clipper, asr, burner = (started(stage) for stage in StageName)
    answers = requested(with_subtitles=True, burn_subtitles=True), ready(), uploaded(), transcribed(), burned()
    return history(answers[0], resolver, answers[1], clipper, answers[2], asr, answers[3], burner, answers[4])


def test_a_job_is_right_with_exactly_its_events_in_their_order():
    right = whole()
    job = uuid4()
    assert wrong({job: right}, [job]) == []
    swapped = [*right[:2], right[3], right[2], *right[4:]]
    for other in ([], right[:-1], [*right, right[-1]], swapped):
        assert len(wrong({job: other}, [job])) == 1
    assert wrong({}, [job]) == [f"job {job}: unknown, []"]


def test_calls_are_counted_by_dependency_and_operation_and_pings_are_not():
    assert calls_in(METRICS) == {"postgres history": 4, "nats ack": 3}
    assert in_flight_in(METRICS) == 2


def rounds(*, rate: float = 2000.0, hop: float = 0.001, whole: float = 0.010, faults: tuple[str, ...] = ()) -> Rounds:
    spent = Spent(cpu={"ours": 1.0}, calls={"postgres history": 4.0}, messages={"in": 40.0, "out": 20.0})
    return Rounds([Many(1000, 1000 / rate, spent, list(faults))], [Alone([hop], [whole], spent, [])])


def judged(ours: Rounds, polling: Rounds | None = None) -> list[Figure]:
    sides = {OURS: ours} | ({POLLING.name: polling, NOTIFIED.name: rounds()} if polling else {})
    return figures(Found(sides, 0.00002), 2)


def verdicts(ours: Rounds, polling: Rounds | None = None) -> list[str]:
    return [figure.verdict for figure in judged(ours, polling)[:3]]


def test_a_figure_is_judged_by_its_target_and_the_hop_beside_the_polling_peer():
    assert verdicts(rounds(), rounds(hop=0.2)) == ["reached"] * 3
    assert verdicts(rounds(rate=1499, hop=0.0011, whole=0.0151), rounds(hop=0.2)) == ["missed"] * 3
    assert judged(rounds(), rounds(hop=0.2))[0].ratio == pytest.approx(200)
    assert verdicts(rounds()) == ["not judged", "reached", "reached"]


def test_a_fast_pipeline_that_is_wrong_has_missed_everything():
    assert verdicts(rounds(faults=("2 messages in DLQ",)), rounds(hop=0.2)) == ["missed"] * 3
    assert "ours: 2 messages in DLQ" in judged(rounds(faults=("2 messages in DLQ",)))[1].detail


def test_the_peer_s_packages_are_locked_by_hashes_and_not_by_places():
    packages = json.loads((SOURCES / LOCK).read_text())["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in ("pg", "pg-boss")}.items() <= versions().items()
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with (
        open_servers(tmp_path / "servers") as (servers, monitor),
        open_system(servers, monitor, tmp_path, workers=1, profile=None) as system,
    ):
        yield system


async def test_jobs_go_through_the_real_runner_and_the_bare_chain_and_what_they_cost_is_counted(system: System, tmp_path: Path):
    assert await problems(system.pool, system.monitor) == []
    assert sync_seconds(tmp_path) > 0
    at_once, alone = await many(system, JOBS), await one_by_one(system, JOBS)
    assert (at_once.faults, alone.faults) == ([], [])
    assert all(0 < hop < whole for hop, whole in zip(alone.hops, alone.wholes, strict=True))
    assert alone.spent.calls["nats ack"] == 4 * JOBS
    assert alone.spent.calls["nats publish"] == 3 * JOBS
    assert all(count % JOBS == 0 for count in alone.spent.calls.values())
    assert alone.spent.messages["in"] >= 8 * JOBS
    async with running(BARE_CHAIN, system, tmp_path / "bare.log") as bare:
        at_once, alone = await bare.many(JOBS), await bare.one_by_one(JOBS)
    assert (at_once.faults, alone.faults, len(alone.hops)) == ([], [], JOBS)
    assert at_once.spent.cpu.keys() == {"python", "nats", "postgres"}


async def test_servers_that_confirm_before_they_sync_are_told(servers: dict[str, str]):
    async with open_pool(servers["DATABASE_URL"], connections=1) as pool:
        await pool.execute("SET synchronous_commit = off")
        assert await problems(pool, NOBODY) == [
            "Postgres: synchronous_commit is off, it must be on",
            f"server {NOBODY}: its monitoring port doesn't say whether it syncs always",
        ]
