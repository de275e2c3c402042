"""What must hold of the simulated stages whatever the load: nothing is lost, bounds are kept, quiet shrinks, more never waits longer."""

from dataclasses import replace
from statistics import mean

import pytest

from bench.scaling import manifests, measured
from bench.scaling.__main__ import crews
from bench.scaling.capacity import messages, needs
from bench.scaling.replica import Replica, Worker
from bench.scaling.scenarios import MIX, Load, requests, turns
from bench.scaling.simulation import AGAIN_SECONDS, DRAIN_SECONDS, START_SECONDS, Plan, Simulation, Step

ONE = Worker(slots=1, cores=1.0, cores_a_job=1.0, turns=1)
BUSY = Load(base=60, peak=600, since=300, until=420, seconds=900)
SEEDS = (1, 2, 3)


def plan(seed: int, *, load: Load = BUSY, watermark: int | None = None) -> Plan:
    return Plan(requests=requests(load, MIX, measured.stages(), seed), seconds=load.seconds + 900, watermark=watermark)


def lone(minimum: int, maximum: int, worker: Worker = ONE):
    """One pool."""
    return {"clipper": (worker, replace(manifests.rules()["clipper"], minimum=minimum, maximum=maximum))}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("watermark", [None, 40])
def test_every_job_ends_and_each_once(seed: int, watermark: int | None):
    asked = plan(seed, watermark=watermark)
    seen = Simulation(crews(), asked).run()
    assert sorted(seen.waits) == list(range(len(asked.requests)))
    assert seen.accepted == len(asked.requests)
    assert (seen.refusals > 0) == (watermark is not None)
    assert max(jobs for _, jobs in seen.lags) <= (watermark or len(asked.requests))


@pytest.mark.parametrize("seed", SEEDS)
def test_replicas_stay_within_their_bounds_and_a_quiet_system_shrinks_to_the_least(seed: int):
    rules, seen = manifests.rules(), Simulation(crews(), plan(seed)).run()
    for stage, told in seen.replicas.items():
        counts = {count for _, count in told}
        assert min(counts) >= rules[stage].minimum
        assert max(counts) <= rules[stage].maximum
        assert told[-1][1] == rules[stage].minimum
    assert max(count for _, count in seen.replicas["clipper"]) > rules["clipper"].minimum


def test_no_job_takes_less_than_its_own_work():
    asked = plan(1)
    cores = {stage: worker.cores_a_job for stage, worker in manifests.workers().items()}
    least = [sum(step.work / cores[step.pool] for step in route) for _, route in asked.requests]
    waits = Simulation(crews(), asked).run().waits
    assert all(waits[job] >= least[job] - 1e-6 for job in waits)


def test_equal_seeds_are_equal_runs_and_others_are_not():
    assert Simulation(crews(), plan(1)).run() == Simulation(crews(), plan(1)).run()
    assert plan(1) != plan(2)


def test_more_replicas_never_wait_longer_in_the_mean():
    def waited(count: int) -> float:
        pools = {stage: (worker, replace(rules, minimum=count, maximum=count)) for stage, (worker, rules) in crews().items()}
        return mean(mean(Simulation(pools, plan(seed)).run().waits.values()) for seed in SEEDS)

    means = [waited(count) for count in (2, 4, 8)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 2 * means[-1]


@pytest.mark.parametrize("size", [60, 400])
def test_the_replicas_of_the_model_keep_up_in_the_simulation(size: int):
    told = needs(measured.costs(), MIX, manifests.deployment(), size)
    pools = {
        stage: (worker, replace(rules, minimum=told.replicas[stage], maximum=told.replicas[stage]))
        for stage, (worker, rules) in crews().items()
    }
    waits = Simulation(pools, plan(1, load=Load(base=size, peak=size, since=0, until=0, seconds=600))).run().waits
    assert mean(waits.values()) <= told.in_stream / (size / 60)


def test_a_new_replica_works_once_it_is_ready():
    asked = [(0.0, [Step("clipper", 100.0)]), *[(1.0, [Step("clipper", 1.0)])] * 8]
    waits = Simulation(lone(1, 2), Plan(requests=asked, seconds=10)).run().waits
    assert min(waits.values()) == pytest.approx(15 - 1 + START_SECONDS + 1)


def test_what_a_replica_cannot_finish_in_time_is_handed_back_and_begun_anew():
    """Four at once make a second replica; at the end of its time it still has two minutes of work."""
    asked = [(0.0, [Step("clipper", 600.0)]), *[(0.0, [Step("clipper", 1.0)])] * 40, (50.0, [Step("clipper", 600.0)])]
    pools = lone(1, 2)
    pools = {"clipper": (ONE, replace(pools["clipper"][1], down_window=0.0))}
    seen = Simulation(pools, Plan(requests=asked, seconds=100)).run()
    assert seen.handed_back >= 1
    assert sorted(seen.waits) == list(range(42))
    assert max(seen.waits.values()) > 600 + DRAIN_SECONDS
    assert min(count for _, count in seen.replicas["clipper"]) == 1


def test_a_refused_client_comes_back():
    seen = Simulation(lone(1, 1), Plan(requests=[(0.0, [Step("clipper", 5.0)])] * 2, seconds=10, watermark=1)).run()
    assert (seen.refusals, seen.waits) == (1, {0: 5.0, 1: AGAIN_SECONDS + 5.0})


def test_a_pool_that_stands_still_does_nothing_and_then_goes_on():
    stand = Plan(requests=[(0.0, [Step("clipper", 10.0)])], seconds=10, standstill=("clipper", 4.0, 104.0))
    assert Simulation(lone(1, 1), stand).run().waits == {0: pytest.approx(110.0)}


def test_jobs_in_hand_share_the_cores():
    replica = Replica(Worker(slots=4, cores=2.0, cores_a_job=1.0, turns=4), is_ready=True)
    for job, work in enumerate((4.0, 8.0, 8.0, 8.0)):
        replica.take(job, work)
    assert replica.next_end(stands=False) == pytest.approx(8.0)
    replica.go_on(8.0, stands=False)
    assert replica.finish() == 0
    assert replica.next_end(stands=False) == pytest.approx(4.0 * 3 / 2)
    assert replica.next_end(stands=True) is None


def test_turns_are_changes_of_direction():
    assert [turns(counts) for counts in ([2, 2, 3, 5], [2, 4, 4, 3, 2], [2, 3, 2, 3])] == [0, 1, 2]


def test_those_that_take_turns_wait_for_one_and_the_others_pass_them():
    replica = Replica(Worker(slots=4, cores=2.0, cores_a_job=2.0, turns=1), is_ready=True)
    for job in (0, 1):
        replica.take(job, 10.0, in_turn=True)
    replica.take(2, 1.0)
    assert replica.in_hand == 3
    order = []
    for _ in range(3):
        left = replica.next_end(stands=False)
        assert left is not None
        replica.go_on(replica.seen + left, stands=False)
        order.append((replica.finish(), round(replica.seen, 6)))
    assert order == [(2, 1.0), (0, 5.5), (1, 10.5)]


def test_what_waits_for_its_turn_is_handed_back_too():
    replica = Replica(Worker(slots=4, cores=2.0, cores_a_job=2.0, turns=1), is_ready=True)
    for job in (0, 1, 2):
        replica.take(job, 10.0, in_turn=True)
    assert list(replica.hand_back()) == [0, 1, 2]
    assert replica.in_hand == 0


def test_each_stage_that_a_job_asks_for_is_a_message_of_the_simulated_one():
    lengths = [len(route) for _, route in plan(1).requests]
    assert set(lengths) == {2, 3, 4}
    assert mean(lengths) == pytest.approx(messages(MIX), abs=0.1)
