"""docs/scaling.md: its tables are what `make scaling` makes, and its words are true of the model and the simulation."""

import json
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from bench.scaling import manifests, measured
from bench.scaling.__main__ import PAGE, crews, outcomes
from bench.scaling.capacity import cpu, first, limits, messages, needs, shares, writes
from bench.scaling.page import SIZES, TABLE, renewed, tables
from bench.scaling.scenarios import LOADS, MIX, STANDS, Load, Outcome, Plan, outcome, played, requests
from bench.scaling.simulation import DRAIN_SECONDS
from libs.common.domain.events import CONSUMES, AsrDone, ClipsRequested, ClipUploaded, SourceReady

ROOT = PAGE.parents[1]
PUBLISHED = json.loads((ROOT / "docs" / "performance.json").read_text())
TEXT = " ".join(PAGE.read_text().split())


@cache
def bursts() -> dict[str, tuple[Outcome, Outcome]]:
    return outcomes(measured.stages())


def told(part: str, row: str, what: str) -> str:
    [found] = [figure for figure in PUBLISHED[part]["figures"] if (figure["row"], figure["what"]) == (row, what)]
    return f"{found['ours']} {found['detail']}"


def unlimited() -> list[float]:
    return [limit.jobs_a_minute for limit in limits(measured.costs(), MIX, manifests.deployment())]


def test_the_tables_are_those_that_the_command_makes():
    page = PAGE.read_text()
    made = tables(measured.told(), measured.costs(), manifests.deployment(), bursts())
    assert {mark[2] for mark in TABLE.finditer(page)} == made.keys()
    assert renewed(page, made) == page


def test_a_table_is_renewed_in_its_place_alone():
    assert renewed("a\n\n<!-- table: one -->\n| old |\n| 1 |\n\nb\n", {"one": "| new |\n"}) == "a\n\n<!-- table: one -->\n| new |\n\nb\n"


def test_measured_figures_are_the_published_ones():
    """Those that say so: `python -m bench.scaling.mix` puts its own in their place."""
    costs, whole = measured.costs(), told("cutting", "6", "whole system: 30 s of 720p, 100 in flight")
    spent = {name: int(ms) / 1000 for name, ms in re.findall(r"([\w-]+) (\d+)(?=[,;])", whole.partition("CPU ms a job: ")[2])}
    published = {
        "resolve_upload_cpu": spent["resolver"],
        "copy_cpu": spent["clipper"],
        "nats_cpu": spent["nats-server"],
        "postgres_cpu": spent["postgres"],
        "exact_cpu": float(told("cutting", "2", "CPU, exact: 720p GOP 250").split()[0]),
        "resolve_url_cpu": float(told("sources", "17", "wall (CPU) of the fetch: hls-fmp4").split()[1].strip("()")),
        "read_mb": float(told("cutting", "4", "bytes from S3: 30 s anywhere, 720p GOP 60, 5 min").split()[0]),
    }
    names = [name for name, figure in measured.told()["costs"].items() if figure["from"] == "docs/performance.json"]
    for name in (name for name in names if name in published):
        assert getattr(costs, name) == published[name], name
    assert "read_mb" in names


def test_each_event_that_a_stage_waits_for_is_a_message_where_the_job_asks_for_it():
    assert set(CONSUMES.values()) == {ClipsRequested, SourceReady, ClipUploaded, AsrDone}
    plain = replace(MIX, subtitled=0.0, burned=0.0)
    assert [messages(one) for one in (plain, replace(plain, subtitled=1.0), replace(plain, subtitled=1.0, burned=1.0))] == [2, 3, 4]


def test_all_that_a_job_costs_has_its_share():
    costs = measured.costs()
    assert sum(shares(costs, MIX).values()) == pytest.approx(sum(cpu(costs, MIX).values()) + costs.postgres_cpu + costs.nats_cpu)


def test_a_job_by_upload_is_two_requests_that_a_limit_counts():
    assert (writes(replace(MIX, by_url=1.0)), writes(replace(MIX, by_url=0.0))) == (1, 2)


@pytest.mark.parametrize("name", measured.told()["costs"])
def test_every_figure_says_where_it_is_from(name: str):
    figure = measured.told()["costs"][name]
    assert figure["kind"] in {"measured", "counted", "assumed"}
    source = Path(figure["from"])
    assert (ROOT / source).exists() if "/" in figure["from"] else figure["from"]
    assert figure["how"]


@pytest.mark.parametrize("work", measured.stages())
def test_the_distributions_have_no_other_mean_than_the_costs(work: str):
    """What is not one figure in the model is left out: copies vary, and a fetch is counted by its dearest."""
    quantiles, costs = measured.stages()[work], measured.costs()
    assert list(quantiles) == sorted(quantiles)
    cost = {
        "upload": costs.resolve_upload_cpu,
        "url": costs.resolve_url_cpu,
        "copy": costs.copy_cpu,
        "exact": costs.exact_cpu,
        "transcribe": costs.transcribe_cpu,
        "burn": costs.burn_cpu,
    }[work]
    assert quantiles[0] <= cost <= quantiles[-1]


def test_more_jobs_never_need_less():
    sizes = [needs(measured.costs(), MIX, manifests.deployment(), size) for size in (1, 10, 100, 1000, 10_000)]
    for less, more in pairwise(sizes):
        assert all(less.replicas[name] <= more.replicas[name] for name in less.replicas)
        assert less.connections <= more.connections
        assert less.database_gb < more.database_gb


def test_no_size_below_a_limit_needs_more_than_there_is():
    deployment, costs = manifests.deployment(), measured.costs()
    for name, crew in deployment.crews.items():
        for limit in (one for one in limits(costs, MIX, deployment) if one.what.startswith(f"{name}:")):
            assert needs(costs, MIX, deployment, 0.999 * limit.jobs_a_minute).replicas[name] <= crew.maximum
            assert needs(costs, MIX, deployment, 1.01 * limit.jobs_a_minute).replicas[name] > crew.maximum


def test_what_gives_out_at_each_size_is_what_the_page_says():
    found = limits(measured.costs(), MIX, manifests.deployment())
    assert [[limit.what for limit in first(found, size)] for size in SIZES[:2]] == [[], ["one client's rate limit"]]
    assert found[1].what.startswith("clipper:")
    assert 6 <= found[1].jobs_a_minute / 100 < 7
    assert [limit.what.partition(":")[0] for limit in found if limit not in first(found, SIZES[2])] == [
        "the janitor that retires jobs",
        "api",
    ]
    at_most = needs(measured.costs(), MIX, manifests.deployment(), SIZES[2])
    assert 550 < at_most.cores < 650
    assert at_most.database_gb < 0.8 * 500
    assert 2.5 < manifests.deployment().watermark / (SIZES[2] / 60) < 3.5
    assert at_most.s3_tb > 1000
    assert f"{at_most.s3_gigabits:.0f} Gbit/s" in TEXT
    costs = measured.costs()
    assert 4 < costs.burn_cpu / costs.exact_cpu < 5


def test_thirty_clippers_halve_the_longest_wait_of_the_burst():
    pools = crews()
    worker, rules = pools["clipper"]
    more = played("ten times, 10 min", {**pools, "clipper": (worker, replace(rules, maximum=30))}, measured.stages(), watermark=None)
    now = bursts()["ten times, 10 min"][1]
    assert now.most["clipper"] == rules.maximum == 20
    assert 0.4 < more.worst / now.worst < 0.6
    assert more.drain is not None
    assert now.drain is not None
    assert more.drain <= 30 < now.drain


def test_the_watermark_makes_the_unluckiest_wait_longer():
    marked, free = bursts()["ten times, 10 min"]
    assert marked.refusals > 0 == free.refusals
    assert marked.worst > 2 * free.worst
    assert marked.median < free.median


def test_the_clippers_reach_their_maximum_within_two_minutes_of_the_burst_and_shrink_after_it():
    over_time = bursts()["ten times, 10 min"][0].clippers
    assert over_time[18] < over_time[21] <= over_time[22] == over_time[30] == 20
    assert over_time[32] == 20 > over_time[45]


def test_long_jobs_hold_the_clippers_for_ten_minutes():
    assert all(one.drain and 500 < one.drain < 650 for one in bursts()["ten times, long jobs, 2 min"])


def test_a_standstill_grows_the_transcribers_and_then_the_clippers_and_at_length_closes_the_api():
    marked, free = bursts()["asr stands, 10 min"]
    rules = manifests.rules()
    assert (marked.most["asr"], marked.most["clipper"]) == (rules["asr"].maximum, rules["clipper"].maximum)
    assert marked.refusals == free.refusals == 0
    assert free.median < 1.1 * bursts()["steady"][0].median
    [_, since, _] = STANDS["asr stands, 10 min"]
    load = Load(base=100, peak=100, since=600, until=600, seconds=2100)
    for minutes, is_closed in ((14, False), (20, True)):
        longer = Plan(
            requests=requests(load, MIX, measured.stages(), 1), seconds=2100, standstill=("asr", 700, 700 + 60 * minutes), watermark=500
        )
        assert (outcome(crews(), load, longer).refusals > 0) == is_closed
    assert since > 600


def test_after_a_step_the_clippers_swing_whatever_the_target():
    load, spent = LOADS["step to five times"], cpu(measured.costs(), MIX)["clipper"]
    assert 11 < load.peak / 60 * spent / manifests.cores_of("clipper") < 12
    for target in (2.0, 4.0):
        pools = {stage: (worker, replace(rules, target=target)) for stage, (worker, rules) in crews().items()}
        found = played("step to five times", pools, measured.stages(), watermark=None)
        counts = [count for minute, count in found.clippers.items() if minute > 24]
        assert (min(counts) <= 12, max(counts) > 17) == (True, True)
        assert found.median < 2


def test_the_quiet_minutes_are_what_keeps_the_replicas():
    hasty = {stage: (worker, replace(rules, down_window=0.0)) for stage, (worker, rules) in crews().items()}
    quiet, without = bursts()["steady"][0], played("steady", hasty, measured.stages(), watermark=None)
    assert quiet.most["clipper"] == 4
    assert without.turns_an_hour > 30 * quiet.turns_an_hour
    assert without.median > 2 * quiet.median


def test_nothing_is_lost_and_nothing_handed_back_in_any_load():
    assert bursts().keys() == LOADS.keys()
    for both in bursts().values():
        assert all(one.done == one.jobs > 0 and one.handed_back == 0 for one in both)
    told = (ROOT / "deploy" / "k8s" / "base" / "configuration" / "common.env").read_text()
    assert f"WORKER_SHUTDOWN_TIMEOUT_MS={DRAIN_SECONDS * 1000:.0f}\n" in told
